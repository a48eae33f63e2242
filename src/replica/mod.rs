#![doc = include_str!("../docs/replica.md")]

mod error;
mod step;

use std::{pin::pin, sync::Arc, time::Duration};

pub use error::ReplicaError;
use futures_util::{StreamExt, stream::BoxStream};
use step::Step;

use crate::{
    handler::{Batch, Deadline, Failure, Handler, Outcome, Skip},
    record::{Item, NewImage},
    sink::table::{
        DEFAULT_VERSION_ATTRIBUTE, Guard, Limits, RowWrite, Table, TableError, Written, by_row, write_guarded,
        write_plain,
    },
};

/// Guarded writes on their way at the same time, unless another number is chosen.
pub const DEFAULT_CONCURRENCY: usize = 32;
/// Plain batches on their way at the same time, unless another number is chosen.
pub const DEFAULT_PLAIN_CONCURRENCY: usize = 4;

/// As many records as Lambda delivers at most: the more of them, the more fold into one write.
const WINDOW: usize = 10_000;
/// How long before the deadline requests under way are given up, so that their records are still answered for.
const MARGIN: Duration = Duration::from_millis(500);

/// Keeps another table equal to the one whose changes it handles. See [the chapter](self) for what it promises.
///
/// ```
/// use std::sync::Arc;
///
/// use anabranch::{dispatch::Dispatcher, handler::Context, record::NewImage, replica::Replica, router::Router};
/// use anabranch::sink::table::Memory;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let table = Arc::new(Memory::new("PetTrackerReplica", ["PK", "SK"]));
/// let dispatcher = Dispatcher::new(Router::<NewImage>::new().every(Replica::new(table.clone())));
///
/// let batch = r#"{"Records": [{"eventName": "INSERT", "dynamodb": {"SequenceNumber": "111",
///     "Keys":     {"PK": {"S": "USER#ada"}, "SK": {"S": "PET#mia"}},
///     "NewImage": {"PK": {"S": "USER#ada"}, "SK": {"S": "PET#mia"}, "species": {"S": "cat"}}}}]}"#;
/// let report = dispatcher.dispatch(batch, &Context::default()).await?;
/// assert_eq!(report.applied, 1);
/// assert_eq!(table.rows().len(), 1);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Replica {
    table: Arc<dyn Table>,
    mode: Mode,
    concurrency: usize,
}

#[derive(Clone)]
enum Mode {
    /// Every row carries its version in this attribute, and gives way only to later ones.
    Guarded(Arc<str>),
    /// Rows are written as they are, in batches.
    Plain,
}

impl Replica {
    /// Writes to `table` under guard: duplicates, retries and late workers lose against what is there.
    ///
    /// At most [`DEFAULT_CONCURRENCY`] writes are on their way; versions are kept in the attribute
    /// [`DEFAULT_VERSION_ATTRIBUTE`].
    pub fn new(table: impl Table) -> Self {
        let mode = Mode::Guarded(DEFAULT_VERSION_ATTRIBUTE.into());
        Self { table: Arc::new(table), mode, concurrency: DEFAULT_CONCURRENCY }
    }

    /// Writes to `table` in batches of 25 without a guard: cheaper, exact copies, and right only as long as
    /// batches arrive in order. See [what it gives up](self#plain-mode).
    ///
    /// At most [`DEFAULT_PLAIN_CONCURRENCY`] batches are on their way.
    pub fn plain(table: impl Table) -> Self {
        Self { table: Arc::new(table), mode: Mode::Plain, concurrency: DEFAULT_PLAIN_CONCURRENCY }
    }

    /// Says how many requests may be on their way at the same time; 0 counts as 1.
    #[must_use]
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.concurrency = requests;
        self
    }

    /// Says in which attribute rows carry their version. Without effect in plain mode.
    ///
    /// Rows whose version stands in another attribute count as older than everything.
    #[must_use]
    pub fn version_attribute(mut self, name: impl Into<Arc<str>>) -> Self {
        if let Mode::Guarded(attribute) = &mut self.mode {
            *attribute = name.into();
        }
        self
    }

    /// Writes the last change of each item. Answers with the items whose last change was rejected and that have
    /// earlier ones: the latest that fits is to be written.
    async fn write(&self, batch: &mut Batch<'_, Item, NewImage>, mut items: Vec<Vec<Step>>) -> Vec<Vec<Step>> {
        let mut writes = Vec::with_capacity(items.len());
        let mut tickets = Vec::with_capacity(items.len());
        for item in &mut items {
            let last = item.pop().expect("no item is without changes");
            writes.push((last.write, last.version));
            tickets.push(Some(last.ticket));
        }
        let mut rest = Vec::new();
        let mut results = pin!(self.send(writes, batch.context().deadline));
        while let Some((index, result)) = results.next().await {
            let ticket = tickets[index].take().expect("one result per write");
            let earlier = std::mem::take(&mut items[index]);
            match result {
                Err(error) if error.is_reject() => {
                    batch.settle(ticket, Err::<(), _>(Failure::reject(error)));
                    rest.extend((!earlier.is_empty()).then_some(earlier));
                }
                result => {
                    let all = earlier.into_iter().map(|step| step.ticket).chain([ticket]);
                    all.for_each(|ticket| batch.settle(ticket, verdict(&result)));
                }
            }
        }
        rest
    }

    fn send(
        &self,
        writes: Vec<(RowWrite, String)>,
        deadline: Deadline,
    ) -> BoxStream<'_, (usize, Result<Written, TableError>)> {
        let limits = Limits { concurrency: self.concurrency, until: give_up(deadline).instant() };
        match &self.mode {
            Mode::Guarded(attribute) => {
                let guard = |(write, version)| (write, Guard::new(Arc::clone(attribute), version));
                let writes: Vec<_> = writes.into_iter().map(guard).collect();
                write_guarded(&*self.table, writes, limits).boxed()
            }
            Mode::Plain => {
                let writes = writes.into_iter().map(|(write, _)| write);
                let results = write_plain(&*self.table, writes, limits);
                results.map(|(index, result)| (index, result.map(|()| Written::Applied))).boxed()
            }
        }
    }
}

impl Handler<Item, NewImage> for Replica {
    async fn handle(&self, batch: &mut Batch<'_, Item, NewImage>) {
        let mut steps = Vec::new();
        for admitted in batch.admit_all() {
            match Step::of(admitted) {
                Ok(step) => steps.push(step),
                Err((ticket, error)) => batch.settle(ticket, Err::<(), _>(Failure::reject(error))),
            }
        }
        let mut items = by_row(steps, |step| &step.write);
        while !items.is_empty() {
            items = self.write(batch, items).await;
        }
    }

    fn window(&self) -> usize {
        WINDOW
    }
}

fn verdict(result: &Result<Written, TableError>) -> Result<Outcome, Failure> {
    match result {
        Ok(Written::Applied) => Ok(Outcome::Applied),
        Ok(Written::Stale) => Ok(Outcome::Skipped(Skip::Stale)),
        Err(error) => Err(Failure::retry(error.clone())),
    }
}

fn give_up(deadline: Deadline) -> Deadline {
    match deadline.remaining() {
        Some(left) => deadline.minus(MARGIN.min(left / 3)),
        None => deadline,
    }
}
