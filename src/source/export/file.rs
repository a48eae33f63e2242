//! One data file: fetched, decompressed, cut into lines, and the lines into batches.

use std::{
    io::{self, BufRead, Read, Write},
    mem,
    sync::Arc,
};

use bytes::{Buf, Bytes};
use flate2::bufread::MultiGzDecoder;
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

/// So much is decompressed at a time, unless a line is longer.
const ROOM: usize = 64 * 1024;
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
        self.export.check_format()?;
        let (store, path) = (self.export.store(), self.export.file(self.file).1);
        let fetched = store.get(path).await.map_err(|source| self.not_fetched(source))?;
        let mut chunks = fetched.into_stream();
        let mut content = Content::new();
        let mut batch = Batch::default();
        while let Some(chunk) = chunks.next().await {
            content.push(chunk.map_err(|source| of_store(store, path, source))?);
            self.content(&mut content, &mut batch).await?;
        }
        content.end();
        self.content(&mut content, &mut batch).await?;
        let (line, checksum) = content.finish();
        self.lines(&line, &mut batch).await?;
        self.verify(batch.line, &checksum)?;
        self.send(&mut batch).await?;
        Ok(())
    }

    /// Takes the lines that are whole by now.
    async fn content(&self, content: &mut Content, batch: &mut Batch) -> Result<(), Stop> {
        while let Some(lines) = content.lines().map_err(|error| self.damaged(batch.line, error))? {
            self.lines(lines, batch).await?;
        }
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
    Gzip(io::Error),
    TooLong,
}

/// The content of a file on its way from compressed bytes to lines.
///
/// It is decompressed into room of its own: flate2's writers clear theirs at every step, and copy what they decompressed.
struct Content {
    digest: Md5,
    gzip: MultiGzDecoder<Chunk>,
    /// Decompressed bytes, and room for more.
    text: Vec<u8>,
    /// How many bytes of it are decompressed, and how many of these are whole lines.
    filled: usize,
    lines: usize,
    /// Whether the file has any bytes at all.
    any: bool,
}

impl Content {
    fn new() -> Self {
        let gzip = MultiGzDecoder::new(Chunk::default());
        Self { digest: Md5::new(), gzip, text: vec![0; ROOM], filled: 0, lines: 0, any: false }
    }

    /// Takes the next bytes of the file, when no lines are left of those before.
    fn push(&mut self, bytes: Bytes) {
        self.any |= !bytes.is_empty();
        self.digest.update(&bytes);
        self.gzip.get_mut().rest = bytes;
    }

    /// The file has no more bytes. An empty one is a file without lines.
    fn end(&mut self) {
        self.gzip.get_mut().is_last = true;
    }

    /// Decompresses until there are whole lines, or no more bytes; answers with the lines, if there are any.
    fn lines(&mut self) -> Result<Option<&[u8]>, ContentError> {
        self.text.copy_within(self.lines..self.filled, 0);
        self.filled -= mem::take(&mut self.lines);
        while self.decompress()? {
            if let Some(end) = memchr::memrchr(b'\n', &self.text[..self.filled]) {
                self.lines = end + 1;
                return Ok(Some(&self.text[..=end]));
            }
        }
        Ok(None)
    }

    /// Fills the room that there is; says whether anything came.
    fn decompress(&mut self) -> Result<bool, ContentError> {
        if !self.any {
            return Ok(false);
        }
        if self.filled == self.text.len() {
            if self.filled >= LONGEST_LINE {
                return Err(ContentError::TooLong);
            }
            self.text.resize(2 * self.filled, 0);
        }
        match self.gzip.read(&mut self.text[self.filled..]) {
            Ok(more) => {
                self.filled += more;
                Ok(more > 0)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(ContentError::Gzip(error)),
        }
    }

    /// A last line without an end, and the checksum of the compressed bytes.
    fn finish(mut self) -> (Vec<u8>, String) {
        self.text.truncate(self.filled);
        (self.text, base64(self.digest.finalize().as_slice()))
    }
}

/// What was fetched of a file and is not decompressed yet. When it is used up and more is to come, reading would block.
#[derive(Default)]
struct Chunk {
    rest: Bytes,
    is_last: bool,
}

impl BufRead for Chunk {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.rest.is_empty() && !self.is_last {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => Ok(&self.rest),
        }
    }

    fn consume(&mut self, amount: usize) {
        self.rest.advance(amount);
    }
}

impl Read for Chunk {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
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
        let mut lines = |content: &mut Content| {
            while let Some(lines) = content.lines()? {
                assert!(lines.ends_with(b"\n"));
                text.extend_from_slice(lines);
            }
            Ok(())
        };
        for step in compressed.chunks(step) {
            content.push(Bytes::copy_from_slice(step));
            lines(&mut content)?;
        }
        content.end();
        lines(&mut content)?;
        text.extend_from_slice(&content.finish().0);
        Ok(text)
    }

    #[test]
    fn lines_come_out_whole_whatever_the_steps() {
        let text: Vec<u8> = (0..5_000).flat_map(|n| format!("{{\"line\":{n}}}\n").into_bytes()).collect();
        let members = [gzip(&text[..10_001]), gzip(b""), gzip(&text[10_001..])].concat();
        for compressed in [gzip(&text), members] {
            for step in [1, 7, 1_000, 1_000_000] {
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
            assert!(matches!(read(&whole[..cut], 8), Err(ContentError::Gzip(_))), "{cut} of {}", whole.len());
        }
        let longer = [whole.as_slice(), b"more"].concat();
        assert!(read(&longer, 8).is_err());
    }
}
