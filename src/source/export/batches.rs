//! Batches of an export, and what is done with once they are.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    Counters, Cursor, Export, ExportError,
    file::{Event, FileReader, Limits, Piece},
    line::Lines,
};
use crate::{
    dispatch::BatchReport,
    record::{split, wire::EventWriter},
};

/// Files that are read at the same time, unless another number is chosen.
pub const DEFAULT_CONCURRENCY: usize = 4;
/// Records of a batch at most, unless another number is chosen.
pub const DEFAULT_BATCH_RECORDS: usize = 1_000;
/// Bytes after which a batch is full, unless another number is chosen.
pub const DEFAULT_BATCH_BYTES: usize = 1024 * 1024;

/// Some rows of an export, or changes, as the event that Lambda would deliver.
#[derive(Debug)]
pub struct ExportBatch {
    /// The event: `{"Records": [..]}`.
    pub payload: Bytes,
    /// How many records it has.
    pub records: usize,
    file: usize,
    first: u64,
}

/// Reads an export, or the exports of a bridge one after another, batch by batch.
///
/// [`next`](Self::next) hands out a batch, [`answer`](Self::answer) takes what became of it, and the [`cursor`](Self::cursor)
/// says what is done with. Several batches may be out at the same time, and answered in any order. Dropping this ends
/// all reading.
pub struct Batches {
    exports: Vec<Export>,
    stage: usize,
    keys: Vec<String>,
    lines: Arc<Lines>,
    concurrency: usize,
    limits: Limits,
    cursor: Cursor,
    /// What is known of the files that the cursor has open.
    open: BTreeMap<usize, Known>,
    /// Open files that nobody reads yet, with the lines to be passed over.
    waiting: VecDeque<(usize, u64)>,
    reading: VecDeque<(usize, mpsc::Receiver<Result<Event, ExportError>>)>,
    tasks: JoinSet<()>,
    again: VecDeque<ExportBatch>,
    unanswered: usize,
    failed: bool,
}

/// What is known of an open file beside its cursor.
#[derive(Default)]
struct Known {
    /// Lines that are done with behind others that are not: where they begin and end.
    later: BTreeMap<u64, u64>,
    read: bool,
}

impl Export {
    /// The export in batches, from its beginning. `keys` are the table's key attributes: lines of a full export do not tell
    /// them apart from the others. Incremental exports do, and need none.
    pub fn batches<K: Into<String>>(&self, keys: impl IntoIterator<Item = K>) -> Batches {
        Batches::new(vec![self.clone()], keys.into_iter().map(Into::into).collect())
    }
}

impl Batches {
    /// From the beginning of the first of one or more exports.
    pub(super) fn new(exports: Vec<Export>, keys: Vec<String>) -> Self {
        let first = &exports[0];
        Self {
            stage: 0,
            lines: lines(first, &keys),
            keys,
            concurrency: DEFAULT_CONCURRENCY,
            limits: Limits { records: DEFAULT_BATCH_RECORDS, bytes: DEFAULT_BATCH_BYTES },
            cursor: Cursor::start(first, Counters::default()),
            open: BTreeMap::new(),
            waiting: VecDeque::new(),
            reading: VecDeque::new(),
            tasks: JoinSet::new(),
            again: VecDeque::new(),
            unanswered: 0,
            failed: false,
            exports,
        }
    }

    /// Says how many files are read at the same time; 0 counts as 1. Each holds up to three batches, and as much of
    /// the file as the store hands out at once.
    #[must_use]
    pub fn concurrency(mut self, files: usize) -> Self {
        self.concurrency = files.max(1);
        self
    }

    /// Says how many records a batch has at most; 0 counts as 1.
    #[must_use]
    pub fn batch_records(mut self, records: usize) -> Self {
        self.limits.records = records.max(1);
        self
    }

    /// Says when a batch is full: it ends with the record that brings it to so many bytes.
    #[must_use]
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// Goes on where an earlier reader stood.
    ///
    /// # Errors
    /// The cursor was made for another export.
    pub fn resume(mut self, cursor: Cursor) -> Result<Self, ExportError> {
        let stage = self.exports.iter().position(|export| export.arn() == cursor.export);
        self.stage = stage.unwrap_or_default();
        let export = &self.exports[self.stage];
        cursor.fits(export)?;
        self.lines = lines(export, &self.keys);
        self.waiting = cursor.open.iter().map(|(file, lines)| (*file, *lines)).collect();
        self.open = cursor.open.keys().map(|file| (*file, Known::default())).collect();
        self.cursor = cursor;
        Ok(self)
    }

    /// Where reading stands: to be stored after an [`answer`](Self::answer).
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// The export that is being read.
    pub fn export(&self) -> &Export {
        &self.exports[self.stage]
    }

    /// How many items there are, of all exports together: [`Counters::total`] of the cursor when all is done.
    pub fn items(&self) -> u64 {
        self.exports.iter().map(Export::items).sum()
    }

    /// Whether every record of every export is done with.
    pub fn is_done(&self) -> bool {
        self.stage + 1 == self.exports.len() && self.is_stage_done()
    }

    /// The next batch; nothing if all are handed out.
    ///
    /// A file's last batch comes once the whole file was found to be what its manifest says.
    ///
    /// # Errors
    /// A file cannot be read or is not what its manifest says. The reader then ends, and its cursor is good to go on
    /// with. Also if the next export of a bridge would begin while batches are not answered for.
    pub async fn next(&mut self) -> Result<Option<ExportBatch>, ExportError> {
        if self.failed {
            return Err(ExportError::Failed);
        }
        loop {
            if let Some(batch) = self.again.pop_front() {
                self.unanswered += 1;
                return Ok(Some(batch));
            }
            self.start_reading();
            if self.reading.is_empty() {
                if !self.begin_next_stage()? {
                    return Ok(None);
                }
            } else if let Some(batch) = self.event().await? {
                return Ok(Some(batch));
            }
        }
    }

    /// Takes what became of a batch. What is unfinished of it is handed out again by [`next`](Self::next), at once: wait
    /// before it, if what it needs may be overloaded.
    pub fn answer(&mut self, batch: ExportBatch, report: &BatchReport) {
        let done = report.unfinished.as_ref().map_or(batch.records, |first| first.position.min(batch.records));
        self.unanswered = self.unanswered.saturating_sub(1);
        self.cursor.counters.add(report);
        let lines = batch.first..batch.first + done as u64;
        if let Some(known) = self.open.get_mut(&batch.file) {
            known.later.insert(lines.start, lines.end);
        }
        self.settle(batch.file);
        if done < batch.records {
            self.again.push_back(batch.rest(done));
        }
    }

    /// Moves the cursor of a file over what is done with.
    fn settle(&mut self, file: usize) {
        let (Some(known), Some(line)) = (self.open.get_mut(&file), self.cursor.open.get_mut(&file)) else { return };
        while let Some(end) = known.later.remove(line) {
            *line = end.max(*line);
        }
        if known.read && *line == self.exports[self.stage].file(file).0.item_count {
            self.cursor.open.remove(&file);
            self.open.remove(&file);
        }
    }

    fn start_reading(&mut self) {
        while self.reading.len() < self.concurrency {
            let Some((file, skip)) = self.next_file() else { return };
            let (sender, events) = mpsc::channel(1);
            let (export, lines) = (self.export().clone(), Arc::clone(&self.lines));
            let reader = FileReader { export, lines, file, skip, limits: self.limits, events: sender };
            self.tasks.spawn(reader.run());
            self.reading.push_back((file, events));
        }
    }

    fn next_file(&mut self) -> Option<(usize, u64)> {
        if let Some(open) = self.waiting.pop_front() {
            return Some(open);
        }
        let file = self.cursor.next;
        (file < self.export().files()).then(|| {
            self.cursor.next += 1;
            self.cursor.open.insert(file, 0);
            self.open.insert(file, Known::default());
            (file, 0)
        })
    }

    /// Waits for one of the files that are being read.
    async fn event(&mut self) -> Result<Option<ExportBatch>, ExportError> {
        match poll_fn(|context| self.poll_event(context)).await {
            (_, Some(Ok(Event::Batch(Piece { file, first, records, payload })))) => {
                self.unanswered += 1;
                Ok(Some(ExportBatch { payload, records, file, first }))
            }
            (file, Some(Ok(Event::End))) => {
                self.reading.retain(|(other, _)| *other != file);
                self.open.entry(file).or_default().read = true;
                self.settle(file);
                Ok(None)
            }
            (_, failed) => {
                self.failed = true;
                self.tasks.abort_all();
                // A task that ends without a word has panicked.
                Err(failed.and_then(Result::err).unwrap_or(ExportError::Failed))
            }
        }
    }

    /// Whichever file is the first to have something, each in its turn.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<(usize, Option<Result<Event, ExportError>>)> {
        self.reading.rotate_left(usize::from(self.reading.len() > 1));
        for (file, events) in &mut self.reading {
            if let Poll::Ready(event) = events.poll_recv(context) {
                return Poll::Ready((*file, event));
            }
        }
        Poll::Pending
    }

    fn is_stage_done(&self) -> bool {
        self.cursor.next == self.export().files() && self.cursor.open.is_empty()
    }

    /// Goes on to the next export, if there is one. Its rows are later than all of this one's, so these come first.
    fn begin_next_stage(&mut self) -> Result<bool, ExportError> {
        let Some(next) = self.exports.get(self.stage + 1) else { return Ok(false) };
        if !self.is_stage_done() {
            let export = self.export().arn().to_owned();
            return Err(ExportError::Unanswered { export, batches: self.unanswered });
        }
        self.lines = lines(next, &self.keys);
        self.cursor = Cursor::start(next, self.cursor.counters);
        self.stage += 1;
        Ok(true)
    }
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

impl ExportBatch {
    /// The same from a record on.
    fn rest(self, first: usize) -> Self {
        let mut event = EventWriter::new();
        let records = split(self.payload).expect("a written event is an event").skip(first);
        for record in records {
            event.push_json(record.expect("lines are checked before they are written").json());
        }
        let (records, first) = (self.records - first, self.first + first as u64);
        Self { payload: event.finish(), records, file: self.file, first }
    }
}

fn lines(export: &Export, keys: &[String]) -> Arc<Lines> {
    Arc::new(Lines::new(export.kind(), export.table_arn(), keys))
}
