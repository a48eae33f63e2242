//! Where the past of a table comes from.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use serde::{Serialize, de::DeserializeOwned};

use crate::handler::{BoxError, Deadline};

/// The past of a table, in segments that are read independently: a scan, an export.
pub trait History: Send + Sync {
    /// Where one segment stands: small, and made to be stored.
    type Place: Clone + Serialize + DeserializeOwned + Send + Sync;

    /// The rest of a segment, portion by portion, until its end or until there is probably no time for another portion.
    ///
    /// A place that this history did not make is an error, and so is whatever keeps a portion from being read: nothing
    /// behind the last portion counts as read.
    fn open(&self, place: &Self::Place, deadline: Deadline) -> BoxStream<'_, Result<Portion<Self::Place>, BoxError>>;

    /// Segments of a stage are begun when all of the stages before are done with; unless said otherwise, there is only one.
    ///
    /// For histories that tell of an item more than once, such as exports in a row: what is told first must not overtake
    /// what takes it back. [`Backfill::run`](super::Backfill::run) keeps to it; whoever drives slices otherwise has to.
    fn stage(&self, _place: &Self::Place) -> usize {
        0
    }

    /// How fast each worker may go; unless said otherwise, as fast as it can.
    ///
    /// The [`Backfill`](super::Backfill) keeps to it, from segment to segment and from slice to slice: a history only says what a portion costs.
    fn rates(&self) -> Rates {
        Rates::default()
    }
}

/// How fast one worker may go, each second; nothing is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    /// [Read units](Portion::units).
    pub units: Option<f64>,
    /// Records, or what [they cost](Portion::sink_units) instead.
    pub rows: Option<f64>,
}

/// Rows that were read together, as the payload of an event: rows of a snapshot are
/// [records like any others](crate::record::Origin).
#[derive(Debug, Clone)]
pub struct Portion<P> {
    /// The event.
    pub payload: Bytes,
    /// How many records it has.
    pub records: u64,
    /// How many rows were read for it, those included that a filter has left out.
    pub scanned: u64,
    /// How many rows were left out because they are expired.
    pub expired: u64,
    /// The read units that it took, if that is known.
    pub units: Option<f64>,
    /// What it costs by the [rate of rows](Rates::rows), if that does not count its records.
    pub sink_units: Option<f64>,
    /// Where the segment goes on; nothing at its end.
    pub next: Option<P>,
}
