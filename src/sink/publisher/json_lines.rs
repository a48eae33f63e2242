//! Messages as JSON lines on a writer or in a file.

use std::{fmt, io, path::Path};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::{Message, PublishError, Publisher};
pub use crate::sink::lines::AppendFile;
use crate::sink::lines::{Behind, LineWriter};

/// Writes one line of JSON per message to a writer or a file: for a look at what would be sent.
///
/// Messages are written in order, all groups alike; the first that cannot be written is the last of its call. The writer
/// is flushed before any message of a call is acknowledged; a file opened with [`JsonLines::append`] is also
/// synchronized to its disk. Writing happens on Tokio's blocking threads.
///
/// A line reads back as a [`Message`] with `serde_json`.
pub struct JsonLines<W> {
    lines: LineWriter<W>,
}

impl<W: io::Write + Send + 'static> JsonLines<W> {
    /// Messages to any writer.
    pub fn new(writer: W) -> Self {
        Self { lines: LineWriter::new(writer) }
    }

    /// Looks at the writer between two calls.
    pub fn with_writer<R>(&self, look: impl FnOnce(&mut W) -> R) -> R {
        self.lines.with_writer(look)
    }
}

impl JsonLines<AppendFile> {
    /// Messages to the end of a file, which is created if it is not there.
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

impl<W: io::Write + Send + 'static> Publisher for JsonLines<W> {
    fn name(&self) -> &str {
        "JSON lines"
    }

    fn publish<'a>(&'a self, messages: &'a [Message]) -> BoxStream<'a, (usize, Result<(), PublishError>)> {
        let line = |message| serde_json::to_string(message).expect("texts and numbers are JSON");
        let documents = messages.iter().map(line).collect();
        let written = async move { stream::iter(self.lines.write(documents, Behind::Stop).await).enumerate() };
        stream::once(written).flatten().map(|(at, result)| (at, result.map_err(Into::into))).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<Message> {
        String::from_utf8(bytes.to_vec()).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[tokio::test]
    async fn a_writer_conforms() {
        let topic = JsonLines::new(Vec::new());
        crate::sink::conformance::publisher(&topic, async || topic.with_writer(|bytes| read(bytes))).await;
    }

    #[tokio::test]
    async fn a_file_conforms() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sent.jsonl");
        let topic = JsonLines::append(&path).unwrap();
        crate::sink::conformance::publisher(&topic, async || read(&std::fs::read(&path).unwrap())).await;
    }

    /// Takes so many bytes, then no more.
    struct Full(usize);

    impl io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.0.min(bytes.len());
            self.0 -= room;
            if room == 0 { Err(io::Error::other("disk full")) } else { Ok(room) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn nothing_is_written_behind_a_failure() {
        let messages = ["a", "b", "c"].map(Message::new);
        let topic = JsonLines::new(Full(20));
        let results: Vec<_> = topic.publish(&messages).collect().await;
        assert!(matches!(results[..], [(0, Ok(())), (1, Err(PublishError::Write(_)))]), "{results:?}");
    }
}
