//! JSON lines on a writer or in a file, one document each.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// Writes documents as lines; clones share the writer.
///
/// The writer is flushed before any line of a call is acknowledged. A line that was cut by an error, or by the end of an
/// earlier process, is closed before the next one, so that it spoils no other.
pub(super) struct LineWriter<W> {
    lines: Arc<Mutex<Lines<W>>>,
}

/// Why a line was not written.
#[derive(Debug, Clone)]
pub(super) enum LineError {
    /// The writer failed.
    Write(Arc<io::Error>),
    /// The task that was writing ended before it had an answer.
    Interrupted,
}

/// What happens to the lines behind one that could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// They are written.
    GoOn,
    /// They are not, and have no result.
    Stop,
}

impl<W: Write + Send + 'static> LineWriter<W> {
    pub(super) fn new(writer: W) -> Self {
        Self::after(writer, false)
    }

    fn after(writer: W, torn: bool) -> Self {
        Self { lines: Arc::new(Mutex::new(Lines { writer, torn })) }
    }

    /// Looks at the writer between two calls.
    pub(super) fn with_writer<R>(&self, look: impl FnOnce(&mut W) -> R) -> R {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        look(&mut lines.writer)
    }

    /// Writes one line per document, on one of Tokio's blocking threads, and answers with their results in order.
    pub(super) async fn write(&self, documents: Vec<String>, behind: Behind) -> Vec<Result<(), LineError>> {
        let (lines, count) = (Arc::clone(&self.lines), documents.len());
        let write = move || {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.write(&documents, behind)
        };
        let written = tokio::task::spawn_blocking(write).await;
        written.unwrap_or_else(|_| vec![Err(LineError::Interrupted); count])
    }
}

impl LineWriter<AppendFile> {
    /// Lines to the end of a file, which is created if it is not there.
    pub(super) fn append(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let torn = ends_within_a_line(&mut file)?;
        Ok(Self::after(AppendFile(file), torn))
    }
}

/// A file opened for appending whose `flush` waits for the disk.
#[derive(Debug)]
pub struct AppendFile(File);

impl Write for AppendFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

struct Lines<W> {
    writer: W,
    /// Whether what was written last may have ended within a line.
    torn: bool,
}

impl<W: Write> Lines<W> {
    fn write(&mut self, documents: &[String], behind: Behind) -> Vec<Result<(), LineError>> {
        let mut written = Vec::with_capacity(documents.len());
        for line in documents {
            let result = self.write_line(line);
            let stop = result.is_err() && behind == Behind::Stop;
            written.push(result.map_err(|error| LineError::Write(Arc::new(error))));
            if stop {
                break;
            }
        }
        match self.writer.flush() {
            Ok(()) => written,
            Err(error) => vec![Err(LineError::Write(Arc::new(error))); written.len()],
        }
    }

    fn write_line(&mut self, line: &str) -> io::Result<()> {
        let start = if self.torn { "\n" } else { "" };
        self.torn = true;
        self.writer.write_all(format!("{start}{line}\n").as_bytes())?;
        self.torn = false;
        Ok(())
    }
}

fn ends_within_a_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}
