//! Exports as a history: each data file is a segment.

use std::{pin::pin, sync::Arc};

use futures_util::{StreamExt, future, stream, stream::BoxStream};
use serde::{Deserialize, Serialize};
use tokio::{sync::mpsc, task::JoinSet, time::timeout_at};

use super::{
    Bridge, DEFAULT_BATCH_BYTES, DEFAULT_BATCH_RECORDS, Export, ExportError,
    file::{Event, FileReader, Limits},
    line::Lines,
};
use crate::{
    handler::{BoxError, Deadline},
    record::wire::EventWriter,
    source::backfill::{History, Portion, Rates},
};

/// Exports as the past of a table: each data file is a segment, some lines of it a portion.
///
/// The files of one export are read side by side, those of a [bridge](Bridge) export after export. Rows are snapshots as of the export's
/// time, and deletions of an incremental export are records like any others. Reading takes nothing of the table's capacity.
///
/// [`Export::history`] and [`Bridge::history`] make one; [the chapter](super#as-a-backfill) shows it at work.
#[derive(Debug)]
pub struct ExportHistory {
    stages: Vec<Stage>,
    limits: Limits,
    rate: Option<f64>,
}

/// One export of those that are read one after another.
#[derive(Debug)]
struct Stage {
    export: Export,
    lines: Arc<Lines>,
}

/// Where the reading of one data file stands: behind a line.
///
/// As JSON: `{"export":"arn:..","file":3,"md5":"..","line":4000}`. It fits only the file that it was made for, and holds no
/// data of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePlace {
    export: String,
    /// Its index in the manifest.
    file: usize,
    /// The checksum of its content, as the manifest has it.
    md5: String,
    /// How many lines are done with.
    line: u64,
}

impl Export {
    /// The export as a [history](History). `keys` are as for [`batches`](Self::batches).
    pub fn history<K: Into<String>>(&self, keys: impl IntoIterator<Item = K>) -> ExportHistory {
        ExportHistory::new(std::slice::from_ref(self), keys)
    }
}

impl Bridge {
    /// All its exports as a [history](History), one export after the other. `keys` are as for [`Export::batches`].
    pub fn history<K: Into<String>>(&self, keys: impl IntoIterator<Item = K>) -> ExportHistory {
        ExportHistory::new(self.exports(), keys)
    }
}

impl ExportHistory {
    fn new<K: Into<String>>(exports: &[Export], keys: impl IntoIterator<Item = K>) -> Self {
        let keys: Vec<String> = keys.into_iter().map(Into::into).collect();
        let lines = |export: &Export| Arc::new(Lines::new(export.kind(), export.table_arn(), &keys));
        let stages = exports.iter().map(|export| Stage { export: export.clone(), lines: lines(export) }).collect();
        Self { stages, limits: Limits { records: DEFAULT_BATCH_RECORDS, bytes: DEFAULT_BATCH_BYTES }, rate: None }
    }

    /// Says how many records a portion has at most, 1,000 by default; 0 counts as 1. It also ends with the record that brings it to 1 MiB.
    #[must_use]
    pub fn portion_records(mut self, records: usize) -> Self {
        self.limits.records = records.max(1);
        self
    }

    /// How many records a second each worker may hand to the handlers: the whole by the number of workers. No limit by default.
    #[must_use]
    pub fn records_per_second(mut self, records: f64) -> Self {
        self.rate = Some(records);
        self
    }

    /// The exports in the order in which they are read.
    pub fn exports(&self) -> impl ExactSizeIterator<Item = &Export> {
        self.stages.iter().map(|stage| &stage.export)
    }

    /// How many items there are, of all exports together, deletions included.
    pub fn items(&self) -> u64 {
        self.exports().map(Export::items).sum()
    }

    /// Where each data file begins.
    pub fn places(&self) -> Vec<FilePlace> {
        let places = |export: &Export| {
            let place = |file| FilePlace {
                export: export.arn().to_owned(),
                file,
                md5: export.file(file).0.md5_checksum.clone(),
                line: 0,
            };
            (0..export.files()).map(place).collect::<Vec<_>>()
        };
        self.exports().flat_map(places).collect()
    }

    /// The export that a place is in.
    fn stage_of(&self, place: &FilePlace) -> Option<usize> {
        self.exports().position(|export| export.arn() == place.export)
    }

    fn read(&self, place: &FilePlace) -> Result<Reading, ExportError> {
        let Some(stage) = self.stage_of(place).map(|stage| &self.stages[stage]) else {
            let exports: Vec<_> = self.exports().map(Export::arn).collect();
            return Err(ExportError::OtherExport { cursor: place.export.clone(), export: exports.join(", ") });
        };
        let items = place.items(&stage.export)?;
        let (sender, events) = mpsc::channel(1);
        let reader = FileReader {
            export: stage.export.clone(),
            lines: Arc::clone(&stage.lines),
            file: place.file,
            skip: place.line,
            limits: self.limits,
            events: sender,
        };
        let mut task = JoinSet::new();
        task.spawn(reader.run());
        Ok(Reading { place: place.clone(), items, events, ahead: None, _task: task })
    }
}

impl FilePlace {
    /// How many items the file has, if this is a place in it.
    fn items(&self, export: &Export) -> Result<u64, ExportError> {
        let bad = |reason| Err(ExportError::BadCursor { export: export.arn().to_owned(), reason });
        if self.file >= export.files() {
            return bad("it names a file that the export does not have");
        }
        let file = export.file(self.file).0;
        if file.md5_checksum != self.md5 {
            return bad("the file that it names has another content than it had");
        }
        if self.line > file.item_count {
            return bad("it names a line that the file does not have");
        }
        Ok(file.item_count)
    }
}

impl History for ExportHistory {
    type Place = FilePlace;

    fn open(&self, place: &FilePlace, deadline: Deadline) -> BoxStream<'_, Result<Portion<FilePlace>, BoxError>> {
        let reading = match self.read(place) {
            Ok(reading) => reading,
            Err(error) => return stream::once(future::ready(Err(error.into()))).boxed(),
        };
        let portions = stream::unfold(Some(reading), move |reading| async move {
            let mut reading = reading?;
            let portion = reading.portion_until(deadline).await?;
            let goes_on = matches!(&portion, Ok(Portion { next: Some(_), .. }));
            Some((portion.map_err(Into::into), goes_on.then_some(reading)))
        });
        portions.boxed()
    }

    /// An export may say what a later one takes back, so they come in their order.
    fn stage(&self, place: &FilePlace) -> usize {
        self.stage_of(place).unwrap_or_default()
    }

    fn rates(&self) -> Rates {
        Rates { units: None, rows: self.rate }
    }
}

/// A data file that is being read.
struct Reading {
    place: FilePlace,
    items: u64,
    events: mpsc::Receiver<Result<Event, ExportError>>,
    ahead: Option<Event>,
    /// Ends when nobody wants its lines any more.
    _task: JoinSet<()>,
}

impl Reading {
    /// The next portion; nothing if it does not come in time.
    async fn portion_until(&mut self, deadline: Deadline) -> Option<Result<Portion<FilePlace>, ExportError>> {
        let portion = pin!(self.portion());
        match deadline.instant() {
            Some(until) => timeout_at(until, portion).await.ok(),
            None => Some(portion.await),
        }
    }

    async fn portion(&mut self) -> Result<Portion<FilePlace>, ExportError> {
        let (payload, records) = match self.event().await? {
            Event::Batch(piece) => {
                self.place.line = piece.first + piece.records as u64;
                (piece.payload, piece.records as u64)
            }
            Event::End => return Ok(portion(EventWriter::new().finish(), 0, None)),
        };
        // The last lines come when the whole file was found to be right, and its end right behind them.
        if self.place.line >= self.items {
            match self.event().await? {
                Event::End => return Ok(portion(payload, records, None)),
                more => self.ahead = Some(more),
            }
        }
        Ok(portion(payload, records, Some(self.place.clone())))
    }

    async fn event(&mut self) -> Result<Event, ExportError> {
        match self.ahead.take() {
            Some(event) => Ok(event),
            // A task that ends without a word has panicked.
            None => self.events.recv().await.unwrap_or(Err(ExportError::Failed)),
        }
    }
}

fn portion(payload: bytes::Bytes, records: u64, next: Option<FilePlace>) -> Portion<FilePlace> {
    Portion { payload, records, scanned: records, expired: 0, units: None, sink_units: None, next }
}
