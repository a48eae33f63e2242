//! One data file: fetched, decompressed, cut into lines, and the lines into batches.

use std::{io::Write, mem, sync::Arc};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures_util::StreamExt;
use md5::{Digest, Md5};
use object_store::ObjectStoreExt;
use tokio::sync::mpsc;

use super::{
    Export, ExportError,
    error::LineReason,
    line::{Lines, Scratch},
    open::{base64, of_store},
};
use crate::record::wire::EventWriter;

/// So much is decompressed at a time: gzip makes at most a thousand times as much of it.
const STEP: usize = 8 * 1024;
/// No line is as long: an item has 400 KB, a change two of them, and JSON makes of that a few times as much.
const LONGEST_LINE: usize = 64 * 1024 * 1024;

/// What comes out of a file.
pub(super) enum Event {
    Batch(Piece),
    /// The file is read, and is what its manifest says.
    End,
}

/// Some lines of a file, as records.
pub(super) struct Piece {
    pub(super) file: usize,
    /// How many lines of the file come before.
    pub(super) first: u64,
    pub(super) records: usize,
    pub(super) payload: Bytes,
}

/// How large a batch may grow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

/// Reads one data file into a channel, which is where it waits for its reader.
pub(super) struct FileReader {
    pub(super) export: Export,
    pub(super) lines: Arc<Lines>,
    pub(super) file: usize,
    /// Lines that are done with.
    pub(super) skip: u64,
    pub(super) limits: Limits,
    pub(super) events: mpsc::Sender<Result<Event, ExportError>>,
}

/// Nobody is there to read on.
struct Closed;

enum Stop {
    Closed,
    Error(ExportError),
}

impl From<Closed> for Stop {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

impl From<ExportError> for Stop {
    fn from(error: ExportError) -> Self {
        Self::Error(error)
    }
}

impl FileReader {
    /// Reads to the end, the first error, or until nobody listens.
    pub(super) async fn run(self) {
        let last = match self.read().await {
            Ok(()) => Ok(Event::End),
            Err(Stop::Error(error)) => Err(error),
            Err(Stop::Closed) => return,
        };
        _ = self.events.send(last).await;
    }

    async fn read(&self) -> Result<(), Stop> {
        let (store, path) = (self.export.store(), self.export.file(self.file).1);
        let fetched = store.get(path).await.map_err(|source| self.not_fetched(source))?;
        let mut chunks = fetched.into_stream();
        let mut content = Content::new();
        let mut batch = Batch::default();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|source| of_store(store, path, source))?;
            content.digest.update(&chunk);
            for step in chunk.chunks(STEP) {
                let lines = content.decompress(step).map_err(|error| self.damaged(batch.line, error))?;
                self.lines(lines, &mut batch).await?;
                content.forget_lines();
            }
        }
        let (lines, checksum) = content.finish().map_err(|error| self.damaged(batch.line, error))?;
        self.lines(&lines, &mut batch).await?;
        self.verify(batch.line, &checksum)?;
        self.send(&mut batch).await?;
        Ok(())
    }

    /// Takes whole lines into the batch, which is sent whenever it is full.
    async fn lines(&self, mut lines: &[u8], batch: &mut Batch) -> Result<(), Stop> {
        while !lines.is_empty() {
            let end = memchr::memchr(b'\n', lines).unwrap_or(lines.len());
            let (line, rest) = lines.split_at(end);
            lines = rest.get(1..).unwrap_or_default();
            // A full batch waits for one more record: the last of a file is sent when the whole is known to be right.
            if batch.is_full(self.limits) {
                self.send(batch).await?;
            }
            batch.line += 1;
            if batch.line > self.skip {
                self.take(line, batch)?;
            }
        }
        Ok(())
    }

    fn take(&self, line: &[u8], batch: &mut Batch) -> Result<(), ExportError> {
        let Batch { event, scratch, line: number, .. } = batch;
        let id = |text: &mut Vec<u8>| {
            write!(text, "{}/{}/{number}", self.export.id(), self.file).expect("memory takes all");
        };
        self.lines.write(line, id, scratch, event).map_err(|reason| self.bad_line(*number, reason))?;
        batch.records += 1;
        Ok(())
    }

    async fn send(&self, batch: &mut Batch) -> Result<(), Closed> {
        if batch.records == 0 {
            return Ok(());
        }
        // The next one is about as long.
        let room = EventWriter::with_capacity(batch.event.len() + batch.event.len() / 16);
        let event = mem::replace(&mut batch.event, room);
        let records = mem::take(&mut batch.records);
        let first = batch.line - records as u64;
        let piece = Piece { file: self.file, first, records, payload: event.finish() };
        self.events.send(Ok(Event::Batch(piece))).await.map_err(|_| Closed)
    }

    fn verify(&self, found: u64, checksum: &str) -> Result<(), ExportError> {
        let expected = self.export.file(self.file).0;
        if checksum != expected.md5_checksum {
            return Err(ExportError::Checksum { file: self.name() });
        }
        if found != expected.item_count {
            return Err(ExportError::Count { file: self.name(), expected: expected.item_count, found });
        }
        Ok(())
    }

    fn not_fetched(&self, source: object_store::Error) -> ExportError {
        match source {
            object_store::Error::NotFound { .. } => {
                ExportError::Missing { file: self.name(), source: Arc::new(source) }
            }
            source => of_store(self.export.store(), self.export.file(self.file).1, source),
        }
    }

    fn damaged(&self, line: u64, error: ContentError) -> ExportError {
        match error {
            ContentError::Gzip(reason) => {
                ExportError::Compression { file: self.name(), line, reason: reason.to_string() }
            }
            ContentError::TooLong => self.bad_line(line + 1, LineReason::TooLong),
        }
    }

    fn bad_line(&self, line: u64, reason: LineReason) -> ExportError {
        ExportError::Line { file: self.name(), line, reason }
    }

    fn name(&self) -> String {
        self.export.file(self.file).1.to_string()
    }
}

/// A batch as far as it goes.
#[derive(Default)]
struct Batch {
    event: EventWriter,
    scratch: Scratch,
    records: usize,
    /// How many lines were seen.
    line: u64,
}

impl Batch {
    fn is_full(&self, limits: Limits) -> bool {
        self.records >= limits.records || self.event.len() >= limits.bytes
    }
}

/// Why a file's content cannot be read.
#[derive(Debug)]
enum ContentError {
    Gzip(std::io::Error),
    TooLong,
}

impl From<std::io::Error> for ContentError {
    fn from(error: std::io::Error) -> Self {
        Self::Gzip(error)
    }
}

/// The content of a file on its way from compressed bytes to lines.
struct Content {
    digest: Md5,
    gzip: MultiGzDecoder<Vec<u8>>,
    /// How many bytes of whole lines there are.
    lines: usize,
    any: bool,
}

impl Content {
    fn new() -> Self {
        Self { digest: Md5::new(), gzip: MultiGzDecoder::new(Vec::new()), lines: 0, any: false }
    }

    /// Decompresses the next bytes; answers with the lines that are whole.
    fn decompress(&mut self, bytes: &[u8]) -> Result<&[u8], ContentError> {
        self.any = true;
        self.gzip.write_all(bytes)?;
        let text = self.gzip.get_ref();
        self.lines = memchr::memrchr(b'\n', text).map_or(0, |end| end + 1);
        if text.len() - self.lines > LONGEST_LINE {
            return Err(ContentError::TooLong);
        }
        Ok(&text[..self.lines])
    }

    /// Makes room where the lines were.
    fn forget_lines(&mut self) {
        self.gzip.get_mut().drain(..mem::take(&mut self.lines));
    }

    /// The last lines, and the checksum of the compressed bytes. An empty file is one without lines.
    fn finish(mut self) -> Result<(Vec<u8>, String), ContentError> {
        let lines = if self.any { self.gzip.finish()? } else { Vec::new() };
        Ok((lines, base64(self.digest.finalize_reset().as_slice())))
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(compressed: &[u8], step: usize) -> Result<Vec<u8>, ContentError> {
        let (mut content, mut text) = (Content::new(), Vec::new());
        for step in compressed.chunks(step) {
            let lines = content.decompress(step)?;
            assert!(lines.is_empty() || lines.ends_with(b"\n"));
            text.extend_from_slice(lines);
            content.forget_lines();
        }
        text.extend_from_slice(&content.finish()?.0);
        Ok(text)
    }

    #[test]
    fn lines_come_out_whole_whatever_the_steps() {
        let text: Vec<u8> = (0..5_000).flat_map(|n| format!("{{\"line\":{n}}}\n").into_bytes()).collect();
        let members = [gzip(&text[..10_001]), gzip(b""), gzip(&text[10_001..])].concat();
        for compressed in [gzip(&text), members] {
            for step in [1, 7, 1_000, STEP] {
                assert_eq!(read(&compressed, step).unwrap(), text);
            }
        }
        assert_eq!(read(&gzip(b"no newline"), 5).unwrap(), b"no newline");
        assert_eq!(read(&gzip(b""), 5).unwrap(), b"");
        assert_eq!(read(b"", 5).unwrap(), b"");
    }

    #[test]
    fn a_file_that_was_cut_is_noticed_wherever_it_was() {
        let whole = gzip(b"{\"Item\":{\"PK\":{\"S\":\"a\"}}}\n{\"Item\":{\"PK\":{\"S\":\"b\"}}}\n");
        for cut in 1..whole.len() {
            assert!(matches!(read(&whole[..cut], STEP), Err(ContentError::Gzip(_))), "{cut} of {}", whole.len());
        }
        let longer = [whole.as_slice(), b"more"].concat();
        assert!(read(&longer, STEP).is_err());
    }
}
