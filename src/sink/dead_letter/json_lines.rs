//! Letters as JSON lines on a writer or in a file.

use std::{
    fmt,
    io::{self, BufRead, Write},
    path::Path,
};

use futures_util::future::{BoxFuture, FutureExt};

use super::{DeadLetter, DeadLetterError, DeadLetterSink};
pub use crate::sink::lines::AppendFile;
use crate::sink::lines::{Behind, LineWriter};

/// Writes one line of JSON per letter to a writer or a file.
///
/// The writer is flushed before any letter of a call is acknowledged; a file
/// opened with [`JsonLines::append`] is also synchronized to its disk. Writing
/// happens on Tokio's blocking threads. A line that was cut by an error, or by
/// the end of an earlier process, is closed before the next letter, so that it
/// spoils no other.
///
/// Read the lines back with [`read_json_lines`].
pub struct JsonLines<W> {
    lines: LineWriter<W>,
}

impl<W: Write + Send + 'static> JsonLines<W> {
    /// Letters to any writer.
    pub fn new(writer: W) -> Self {
        Self { lines: LineWriter::new(writer) }
    }

    /// Looks at the writer between two calls.
    pub fn with_writer<R>(&self, look: impl FnOnce(&mut W) -> R) -> R {
        self.lines.with_writer(look)
    }
}

impl JsonLines<AppendFile> {
    /// Letters to the end of a file, which is created if it is not there.
    ///
    /// # Errors
    /// What the file system says when it cannot be opened for reading and appending.
    pub fn append(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self { lines: LineWriter::append(path)? })
    }
}

impl<W> fmt::Debug for JsonLines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines").finish_non_exhaustive()
    }
}

impl<W: Write + Send + 'static> DeadLetterSink for JsonLines<W> {
    fn send<'a>(&'a self, letters: &'a [DeadLetter]) -> BoxFuture<'a, Vec<Result<(), DeadLetterError>>> {
        async move {
            let documents = letters.iter().map(DeadLetter::to_json).collect();
            let written = self.lines.write(documents, Behind::GoOn).await;
            written.into_iter().map(|result| result.map_err(Into::into)).collect()
        }
        .boxed()
    }
}

/// Reads letters back from JSON lines; blank lines are passed over.
///
/// A line that is no letter is one error, and reading goes on after it.
pub fn read_json_lines(lines: impl BufRead) -> impl Iterator<Item = Result<DeadLetter, DeadLetterError>> {
    lines.split(b'\n').filter(|line| !matches!(line, Ok(bytes) if bytes.trim_ascii().is_empty())).map(|line| {
        let line = String::from_utf8(line?).map_err(|_| DeadLetterError::unreadable("the line is not UTF-8"))?;
        DeadLetter::from_json(&line)
    })
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn letter(record: &'static str) -> DeadLetter {
        DeadLetter::new(record, "why", "f", UNIX_EPOCH)
    }

    fn read(bytes: &[u8]) -> Vec<Result<DeadLetter, DeadLetterError>> {
        read_json_lines(bytes).collect()
    }

    /// Fails at the given byte, once; counts flushes.
    #[derive(Default)]
    struct Flaky {
        bytes: Vec<u8>,
        fails_at: Option<usize>,
        flush_fails: bool,
        flushed: usize,
    }

    impl Write for Flaky {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = match self.fails_at {
                Some(at) if at == self.bytes.len() => {
                    self.fails_at = None;
                    return Err(io::Error::other("disk full"));
                }
                Some(at) => (at - self.bytes.len()).min(bytes.len()),
                None => bytes.len(),
            };
            self.bytes.extend(&bytes[..room]);
            Ok(room)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.flushed = self.bytes.len();
            match self.flush_fails {
                true => Err(io::Error::other("disk gone")),
                false => Ok(()),
            }
        }
    }

    #[tokio::test]
    async fn a_writer_conforms() {
        let sink = JsonLines::new(Vec::new());
        let read = async || {
            let bytes = sink.with_writer(|bytes| bytes.clone());
            read(&bytes).into_iter().map(Result::unwrap).collect()
        };
        crate::sink::conformance::dead_letter_sink(&sink, read).await;
    }

    #[tokio::test]
    async fn letters_are_flushed_before_they_are_acknowledged() {
        let sink = JsonLines::new(Flaky::default());
        assert!(sink.send(&[letter("1")]).await[0].is_ok());
        sink.with_writer(|w| assert!(w.flushed > 0 && w.flushed == w.bytes.len()));
        sink.with_writer(|w| w.flush_fails = true);
        assert!(sink.send(&[letter("2"), letter("3")]).await.iter().all(Result::is_err));
    }

    #[tokio::test]
    async fn a_torn_line_spoils_no_other_letter() {
        let first = letter("1").to_json().len() + 1;
        for torn_at in [0, 1, 40] {
            let sink = JsonLines::new(Flaky { fails_at: Some(first + torn_at), ..Flaky::default() });
            let results = sink.send(&[letter("1"), letter("2"), letter("3")]).await;
            let kept: Vec<_> = results.iter().map(Result::is_ok).collect();
            assert_eq!(kept, [true, false, true]);
            let lines = read(&sink.with_writer(|w| w.bytes.clone()));
            let whole: Vec<_> = lines.into_iter().filter_map(Result::ok).collect();
            assert_eq!(whole, [letter("1"), letter("3")]);
        }
    }

    #[tokio::test]
    async fn a_file_conforms_and_outlives_a_crash_within_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead.jsonl");
        std::fs::write(&path, "{\"schema\":\"anabr").unwrap();
        let kept = || {
            let lines = read(&std::fs::read(&path).unwrap());
            lines.into_iter().filter_map(Result::ok).collect::<Vec<_>>()
        };
        let sink = JsonLines::append(&path).unwrap();
        crate::sink::conformance::dead_letter_sink(&sink, async || kept()).await;
        let before = kept().len();
        let sink = JsonLines::append(&path).unwrap();
        assert!(sink.send(&[letter("again")]).await[0].is_ok());
        assert_eq!(kept().len(), before + 1);
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert_eq!(lines, kept().len() + 1, "one torn line, the rest letters");
    }

    #[test]
    fn reading_goes_on_after_a_line_that_is_no_letter() {
        let good = letter("{}").to_json();
        let lines = read(format!("{good}\n\n\u{20}\nnonsense\n{good}").as_bytes());
        let good: Vec<_> = lines.iter().map(Result::is_ok).collect();
        assert_eq!(good, [true, false, true]);
    }
}
