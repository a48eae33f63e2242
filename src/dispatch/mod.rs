//! The one hall behind all doors: a batch in, a report out.
//!
//! The dispatcher reads the payload window by window, hands each record to the routes that want it, merges their
//! verdicts, sends rejects to the dead letter sink, and stops at the first record that stays unfinished: that
//! one is named in the answer, and Lambda delivers from there on again.
//!
//! Why it does not go on and name every failed record, as queue consumers do: Lambda checkpoints at the lowest
//! identifier and delivers all that follows again (ESM-35). Write v1, v2, v3 of one item; let v2 fail once and v3
//! succeed; on redelivery v2 is applied after v3, and if v3 is then skipped as a duplicate, the target stays at v2
//! for ever.

mod error;
mod lanes;
mod meter;
mod pace;
mod report;
mod run;
mod spans;
mod window;

use std::sync::Arc;

use bytes::Bytes;
pub use error::DispatchError;
pub use report::{BatchReport, BatchResponse, Cause, ItemFailure, Unfinished};
use tracing::{Instrument, field};

use crate::{
    handler::Context,
    record::StreamView,
    router::{Router, Table},
    sink::dead_letter::DeadLetterSink,
};

/// Takes stream batches, gives reports.
///
/// Cheap to clone and shared between invocations: it keeps no state of any of them, only a measure of how long
/// records take.
///
/// ```
/// use anabranch::{dispatch::Dispatcher, handler::Context, record::{NewImage, RawImage, Record}, router::Router};
///
/// async fn audit(record: Record<RawImage, NewImage>) {}
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dispatcher = Dispatcher::new(Router::<NewImage>::new().every(audit));
/// let report = dispatcher.dispatch(&br#"{"Records": []}"#[..], &Context::default()).await?;
/// assert!(report.unfinished.is_none());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Dispatcher {
    shared: Arc<Shared>,
}

struct Shared {
    table: Table,
    dead_letters: Option<Box<dyn DeadLetterSink>>,
    pace: pace::Pace,
}

impl Dispatcher {
    /// A dispatcher without a dead letter sink: rejects are retried.
    pub fn new<V: StreamView>(router: Router<V>) -> Self {
        Self::build(router.into_table(), None)
    }

    /// A dispatcher whose rejects go to a dead letter sink.
    ///
    /// A reject counts as handled once the sink has acknowledged it; if the sink fails, it is a retry.
    pub fn with_dead_letters<V: StreamView>(router: Router<V>, sink: impl DeadLetterSink) -> Self {
        Self::build(router.into_table(), Some(Box::new(sink)))
    }

    fn build(table: Table, dead_letters: Option<Box<dyn DeadLetterSink>>) -> Self {
        Self { shared: Arc::new(Shared { table, dead_letters, pace: pace::Pace::default() }) }
    }

    /// Handles a batch: the JSON that Lambda hands to a function.
    ///
    /// Memory of its own stays small whatever the size of the batch: records are read as they are needed.
    ///
    /// # Errors
    /// The payload is no DynamoDB stream event, or the record to report has no sequence number. Either way nothing
    /// may be acknowledged: fail the invocation.
    pub async fn dispatch(&self, payload: impl Into<Bytes>, context: &Context) -> Result<BatchReport, DispatchError> {
        let split = self.shared.table.split(payload.into()).inspect_err(|_| meter::refused())?;
        let request = context.request_id.as_deref();
        let span = tracing::info_span!("batch", requestId = request, first = field::Empty, last = field::Empty);
        run::Run::new(&self.shared, context, split).finish().instrument(span).await
    }
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let routes: Vec<_> =
            (0..self.shared.table.handlers().len()).map(|route| self.shared.table.name(route)).collect();
        f.debug_struct("Dispatcher")
            .field("routes", &routes)
            .field("dead_letters", &self.shared.dead_letters.is_some())
            .finish_non_exhaustive()
    }
}

impl<V: StreamView> From<Router<V>> for Dispatcher {
    fn from(router: Router<V>) -> Self {
        Self::new(router)
    }
}
