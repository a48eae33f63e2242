#![doc = include_str!("../docs/replica.md")]

mod arn;
mod delivery;
mod error;
mod shape;
mod snapshot;
mod step;
mod sweep;
mod tombstones;
#[cfg(feature = "dynamodb")]
mod verify;
mod write;

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

pub use error::ReplicaError;
use shape::Transform;
pub use shape::{IntoRow, Shape};
use step::Step;
pub use sweep::Sweep;
pub use tombstones::{TOMBSTONE_ATTRIBUTE, Tombstones, is_tombstone};
#[cfg(feature = "dynamodb")]
pub(crate) use verify::Broken;

use crate::{
    handler::{Batch, Handler, Outcome, Skip},
    record::{Item, NewAndOldImages, NewImage, StreamView},
    sink::table::{self, DEFAULT_VERSION_ATTRIBUTE, Reads, Table, TransactTable, Writes, by_row},
};

/// What the function's role must allow on the target, behind a table of DynamoDB; [`Replica::plain`] needs
/// `dynamodb:BatchWriteItem` instead.
pub const ACTIONS: &[&str] = &["dynamodb:DeleteItem", "dynamodb:PutItem"];
/// What it must allow on the source besides, for a replica that [reads items again](Replica::reread).
pub const REREAD_ACTIONS: &[&str] = &["dynamodb:BatchGetItem"];
/// Guarded writes on their way at the same time, unless another number is chosen.
pub const DEFAULT_CONCURRENCY: usize = 32;
/// Plain batches on their way at the same time, unless another number is chosen.
pub const DEFAULT_PLAIN_CONCURRENCY: usize = 4;

/// How long after a change it counts as late, unless another time is chosen.
pub const DEFAULT_LATE_AFTER: Duration = Duration::from_secs(60);

/// As many records as Lambda delivers at most: the more of them, the more fold into one write.
const WINDOW: usize = 10_000;
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
pub struct Replica<V: StreamView = NewImage> {
    table: Arc<dyn Writes>,
    mode: Mode,
    transform: Option<Arc<Transform>>,
    tombstones: Option<Tombstones>,
    source: Option<Arc<dyn Reads>>,
    ignores_expired: bool,
    late_after: Duration,
    two_way: bool,
    generation: u32,
    concurrency: usize,
    _view: PhantomData<fn() -> V>,
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
        Self::with(table, Mode::Guarded(DEFAULT_VERSION_ATTRIBUTE.into()), DEFAULT_CONCURRENCY)
    }

    /// Writes to `table` in batches of 25 without a guard: cheaper, exact copies, and right only as long as
    /// batches arrive in order. See [what it gives up](self#plain-mode).
    ///
    /// At most [`DEFAULT_PLAIN_CONCURRENCY`] batches are on their way.
    pub fn plain(table: impl Table) -> Self {
        Self::with(table, Mode::Plain, DEFAULT_PLAIN_CONCURRENCY)
    }
}

impl Replica<NewAndOldImages> {
    /// Writes to `table` under guard, where `table` is replicated back in the same way by a second function: what the one
    /// has written, the other passes over. See [what two-way replication needs](self#two-way-replication).
    ///
    /// Takes both images, which tell a user's write from a replica's, and tombstones, without which nobody could tell whose
    /// deletion it was that a record is about.
    pub fn two_way(table: impl Table, tombstones: Tombstones) -> Self {
        let mode = Mode::Guarded(DEFAULT_VERSION_ATTRIBUTE.into());
        Self { two_way: true, tombstones: Some(tombstones), ..Self::with(table, mode, DEFAULT_CONCURRENCY) }
    }
}

impl<V: StreamView> Replica<V> {
    fn with(table: impl Table, mode: Mode, concurrency: usize) -> Self {
        Self {
            table: Arc::new(table),
            mode,
            transform: None,
            tombstones: None,
            source: None,
            ignores_expired: false,
            late_after: DEFAULT_LATE_AFTER,
            two_way: false,
            generation: 0,
            concurrency,
            _view: PhantomData,
        }
    }

    /// Writes what a pure function makes of each item in place of the item: a row, or none if the target is not to have it.
    ///
    /// An item that is wanted no more is deleted from the target. Keys stay as they are; a row whose keys differ from
    /// its item's is rejected. The function is called again when a record is delivered again.
    ///
    /// ```
    /// use anabranch::{replica::Replica, sink::table::{Item, Memory, text}};
    ///
    /// let pets = Replica::new(Memory::new("Pets", ["PK", "SK"])).transform(|mut row: Item| {
    ///     row.remove("vet");
    ///     (row.get("entityType") == Some(&text("PET"))).then_some(row)
    /// });
    /// # let _: Replica = pets;
    /// ```
    #[must_use]
    pub fn transform<R: IntoRow>(mut self, transform: impl Fn(table::Item) -> R + Send + Sync + 'static) -> Self {
        self.transform = Some(Arc::new(move |row| transform(row).into_row()));
        self
    }

    /// The same by a list of the usual changes.
    #[must_use]
    pub fn shape(self, shape: Shape) -> Self {
        self.transform(move |row| shape.apply(row))
    }

    /// Leaves a tombstone where a row is deleted, so that nothing older can bring it back. Without effect in plain mode.
    #[must_use]
    pub fn tombstones(mut self, tombstones: Tombstones) -> Self {
        self.tombstones = Some(tombstones);
        self
    }

    /// Takes rows of a snapshot, and changes that come late, without tombstones: after they are written their items are read
    /// again, consistently, from `source`, and rows whose items are gone, or [no more of the route](self#routes), are deleted. See [what that promises](self#snapshots).
    ///
    /// `source` is the table whose stream is replicated, and a record of another one is retried. Without effect if there are tombstones,
    /// and in plain mode.
    #[must_use]
    pub fn reread(mut self, source: impl TransactTable) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Says how long after a change it counts as late, and its item is [read again](Self::reread): [`DEFAULT_LATE_AFTER`] unless said
    /// otherwise. [`Duration::ZERO`] is always, [`Duration::MAX`] never.
    ///
    /// Longer than the function is usually behind its table, since each late change costs a read; shorter than anybody needs to
    /// hand over again what was given up. A change that does not say when it happened is late.
    #[must_use]
    pub fn late_after(mut self, age: Duration) -> Self {
        self.late_after = age;
        self
    }

    /// Keeps rows whose items the source's time to live has deleted: an archive. Those that a user deletes go all the same.
    #[must_use]
    pub fn ignore_expired(mut self) -> Self {
        self.ignores_expired = true;
        self
    }

    /// Writes as a later generation, 0 unless said otherwise: whatever comes in it is above all that earlier ones have
    /// written, rows of a snapshot too.
    ///
    /// Raise it, and deploy, before changes that the stream has no more are brought in by a bridge of exports. Never lower it:
    /// changes of an earlier generation are stale against rows of this one.
    #[must_use]
    pub fn generation(mut self, generation: u32) -> Self {
        self.generation = generation;
        self
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
}

impl<V: StreamView> fmt::Debug for Replica<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { two_way, generation, concurrency, .. } = self;
        f.debug_struct("Replica")
            .field("table", &self.table.name())
            .field("guarded", &matches!(self.mode, Mode::Guarded(_)))
            .field("tombstones", &self.tombstones)
            .field("two_way", two_way)
            .field("generation", generation)
            .field("concurrency", concurrency)
            .finish_non_exhaustive()
    }
}

impl<V: StreamView<New<Item> = Item>> Handler<Item, V> for Replica<V> {
    async fn handle(&self, batch: &mut Batch<'_, Item, V>) {
        let mut steps = Vec::new();
        for admitted in batch.admit_all() {
            match Step::of(self, admitted) {
                Ok(step) => steps.push(step),
                Err((ticket, verdict)) => batch.settle(ticket, verdict),
            }
        }
        let items = by_row(steps, |step| &step.write).into_iter().map(Step::in_order);
        let (idle, mut items): (Vec<_>, Vec<_>) = items.partition(|item| Step::is_idle(item));
        for step in idle.into_iter().flatten() {
            batch.settle(step.ticket, Outcome::Skipped(Skip::Filtered));
        }
        while !items.is_empty() {
            items = self.write(batch, items).await;
        }
    }

    fn window(&self) -> usize {
        WINDOW
    }
}
