#![doc = include_str!("../docs/view.md")]

mod contribution;
mod delta;
mod engine;
mod error;
mod extremes;
mod layout;
mod ledger;
mod plan;
mod read;
mod share;
mod source;
#[cfg(feature = "dynamodb")]
mod totals;
#[cfg(feature = "dynamodb")]
mod trace;
#[cfg(feature = "dynamodb")]
mod verify;

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, SystemTime},
};

pub use contribution::{Contribution, Row};
use engine::{Change, Engine};
pub use error::ViewError;
use layout::Layout;
pub use layout::MARKER;
pub use read::{ViewReader, ViewRow};
use share::Shares;
pub use source::Source;
#[cfg(feature = "dynamodb")]
pub(crate) use totals::{Doubt, Totals};
#[cfg(feature = "dynamodb")]
pub(crate) use verify::{Claim, Traced};

pub use crate::sink::table::DEFAULT_EXPIRY_ATTRIBUTE;
use crate::{
    handler::{Admitted, Batch, Deadline, Handler, Outcome, Skip, Ticket, Verdict},
    record::{self, FromImage, NewImage, Record, Version},
    sink::table::{Item, Limits, TransactTable, Transacts},
};

/// What the function's role must allow on the view's table, behind DynamoDB.
pub const ACTIONS: &[&str] =
    &["dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"];
/// Transactions on their way at the same time, unless another number is chosen.
pub const DEFAULT_CONCURRENCY: usize = 8;
/// How long the ledger remembers removed items, unless another time is chosen: a stream's retention is 24 hours, and
/// records from a dead letter queue come up to 14 days later.
pub const DEFAULT_TOMBSTONES: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// As many records as Lambda delivers at most: the more of them, the more fold into one write.
const WINDOW: usize = 10_000;
/// How long before the deadline requests under way are given up, so that their records are still answered for.
const MARGIN: Duration = Duration::from_millis(500);

/// Keeps aggregates or projections of a table's items. See [the chapter](self) for what it promises.
///
/// ```
/// use std::sync::Arc;
///
/// use anabranch::{dispatch::Dispatcher, handler::Context, record::NewImage, router::Router};
/// use anabranch::{sink::table::Memory, view::{Contribution, View}};
///
/// #[derive(serde::Deserialize)]
/// struct Pet { species: String }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let table = Arc::new(Memory::new("PetTrackerViews", ["PK", "SK"]));
/// let species = View::aggregate("species", table, |pet: &Pet| {
///     vec![Contribution::to("SPECIES", &*pet.species).count("pets")]
/// });
/// let reader = species.reader();
/// let dispatcher = Dispatcher::new(Router::<NewImage>::new().every(species));
///
/// let batch = r#"{"Records": [{"eventName": "INSERT", "dynamodb": {"SequenceNumber": "111",
///     "Keys": {"PK": {"S": "USER#ada"}, "SK": {"S": "PET#mia"}}, "NewImage": {"species": {"S": "cat"}}}}]}"#;
/// for _ in 0..3 {
///     dispatcher.dispatch(batch, &Context::default()).await?;
/// }
/// let cats = reader.read("SPECIES", "cat").await?.expect("one cat");
/// assert_eq!(cats.number("pets"), 1.into(), "delivered three times, counted once");
/// # Ok(()) }
/// ```
pub struct View<T> {
    engine: Engine,
    function: Arc<Function<T>>,
    concurrency: usize,
}

/// The shares of an item, under a layout and by its name.
type Function<T> = dyn Fn(&Layout, &T, &str) -> Result<Shares, ViewError> + Send + Sync;

impl<T> Clone for View<T> {
    fn clone(&self) -> Self {
        Self { engine: self.engine.clone(), function: Arc::clone(&self.function), concurrency: self.concurrency }
    }
}

impl<T: FromImage> View<T> {
    /// Sums, counts, averages, minima, maxima and last values of items, by whatever keys `function` gives.
    ///
    /// The function is pure: the same item gives the same contributions, and nothing else happens. `name` tells the
    /// ledger of this view from those of others in the same table, and never changes.
    pub fn aggregate(
        name: impl Into<String>,
        table: impl TransactTable,
        function: impl Fn(&T) -> Vec<Contribution> + Send + Sync + 'static,
    ) -> Self {
        let function =
            move |layout: &Layout, item: &T, source: &str| share::contributed(layout, source, function(item));
        Self::new(name.into(), Arc::new(table), false, Arc::new(function))
    }

    /// Items in another shape: zero or more rows for each, which follow when the item changes and go when it goes.
    ///
    /// The function is pure, and gives different items different keys.
    pub fn project(
        name: impl Into<String>,
        table: impl TransactTable,
        function: impl Fn(&T) -> Vec<Row> + Send + Sync + 'static,
    ) -> Self {
        let function = move |layout: &Layout, item: &T, _: &str| share::projected(layout, function(item));
        Self::new(name.into(), Arc::new(table), true, Arc::new(function))
    }

    fn new(name: String, table: Arc<dyn Transacts>, projects: bool, function: Arc<Function<T>>) -> Self {
        let engine = Engine {
            table,
            layout: Layout::new(name),
            projects,
            generation: 0,
            expiry_attribute: DEFAULT_EXPIRY_ATTRIBUTE.into(),
            keep: DEFAULT_TOMBSTONES,
            now: SystemTime::now,
        };
        Self { engine, function, concurrency: DEFAULT_CONCURRENCY }
    }

    /// Names the key attributes of the view's table, both strings: `PK` and `SK` unless said otherwise.
    #[must_use]
    pub fn keys(mut self, partition: impl Into<String>, sort: impl Into<String>) -> Self {
        self.engine.layout.partition_key = partition.into();
        self.engine.layout.sort_key = sort.into();
        self
    }

    /// Gives all rows of the view an entity type, for tables whose readers tell items apart by an attribute.
    ///
    /// In the view's own source table the router needs it: `.ignore(value)`.
    #[must_use]
    pub fn entity(mut self, attribute: impl Into<String>, value: impl Into<String>) -> Self {
        self.engine.layout.entity = Some((attribute.into(), value.into()));
        self
    }

    /// Spreads every row of an aggregate over `shards` rows (1 to 1,000), so that as many writers can be at it together.
    /// The sort key of each ends in `#shard-` and three digits; [`reader`](Self::reader) sums them, and what the row without an
    /// ending still has from before it had shards.
    ///
    /// A projection has no shards. To have fewer than before takes [`shards_before`](Self::shards_before).
    #[must_use]
    pub fn shards(mut self, shards: u16) -> Self {
        self.engine.layout.shards = shards.clamp(1, 1_000);
        self
    }

    /// Says that there were more `shards` once, so that the [`reader`](Self::reader) looks into those as well, until a
    /// [rebuild](self#rebuilding) has emptied them.
    #[must_use]
    pub fn shards_before(mut self, shards: u16) -> Self {
        self.engine.layout.shards_before = shards.clamp(1, 1_000);
        self
    }

    /// Writes as a later generation, 0 unless said otherwise: every item counts as new, whatever its version was. Raise it,
    /// deploy, and [run a backfill](self#rebuilding).
    #[must_use]
    pub fn generation(mut self, generation: u32) -> Self {
        self.engine.generation = generation;
        self
    }

    /// Says how long the ledger remembers removed items, and in which attribute the table's time to live finds the end
    /// of that: [`DEFAULT_EXPIRY_ATTRIBUTE`] and [`DEFAULT_TOMBSTONES`] unless said otherwise.
    #[must_use]
    pub fn tombstones(mut self, attribute: impl Into<Arc<str>>, keep: Duration) -> Self {
        self.engine.expiry_attribute = attribute.into();
        self.engine.keep = keep;
        self
    }

    /// Says how many transactions may be on their way at the same time; 0 counts as 1.
    #[must_use]
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.concurrency = requests;
        self
    }

    /// Reads the rows of this aggregate.
    pub fn reader(&self) -> ViewReader {
        ViewReader { table: Arc::clone(&self.engine.table), layout: self.engine.layout.clone() }
    }

    /// Takes out of the view what items of earlier generations have in it, after a backfill has brought in all that are
    /// there: they went without a trace. `rows` are rows of the view's table; those that are no ledger rows of this view, or
    /// of this generation, are passed over. Answers with how many items were taken out.
    ///
    /// # Errors
    /// The first failure; to be called again with the same rows.
    pub async fn retire(&self, rows: impl IntoIterator<Item = Item>) -> Result<usize, ViewError> {
        let version = Version::snapshot(self.engine.generation, 0);
        let mut changes = Vec::new();
        for row in rows {
            let Some(source) = self.engine.layout.ledger_source(&row) else { continue };
            let stored = ledger::read(Some(&row))?;
            if stored.version.is_some_and(|stored| *stored < *version.as_str()) && !stored.shares.is_empty() {
                let version = version.as_str().to_owned();
                changes.push(Change { source: source.into(), version, shares: Shares::new() });
            }
        }
        let limits = Limits { concurrency: self.concurrency, until: None };
        let ended = self.engine.apply(&changes, limits).await.into_iter().flatten();
        let outcomes = ended.collect::<Result<Vec<_>, _>>()?;
        Ok(outcomes.into_iter().filter(|outcome| *outcome == Outcome::Applied).count())
    }

    /// What a record asks of the view.
    fn step(&self, admitted: Admitted<Source<T>, NewImage>) -> Result<Step, (Ticket, Verdict)> {
        let Admitted { ticket, record, .. } = admitted;
        if layout::is_of_a_view(record.raw()) {
            return Err((ticket, Ok(Outcome::Skipped(Skip::Ignored))));
        }
        match self.change(&record) {
            Ok(change) => Ok(Step { ticket, change }),
            Err(error) => Err((ticket, Err(error.into_failure()))),
        }
    }

    fn change(&self, record: &Record<Source<T>, NewImage>) -> Result<Change, ViewError> {
        let keys = record.keys().item().map_err(|error| ViewError::Keys(Arc::new(error)))?;
        if keys.is_empty() {
            return Err(ViewError::NoKeys);
        }
        if record.sequence_number().is_empty() {
            return Err(ViewError::NoSequenceNumber);
        }
        let source = layout::source(&keys);
        self.engine.layout.check_source(&source)?;
        let shares = match &record.change {
            record::Change::Insert { new } | record::Change::Modify { new, .. } => self.shares(new, &source)?,
            record::Change::Remove { .. } => Shares::new(),
        };
        let version = record.version().in_generation(self.engine.generation).into();
        Ok(Change { source: source.into(), version, shares })
    }

    /// Asks the user's function. A panic is this record's own failure.
    fn shares(&self, item: &Source<T>, source: &str) -> Result<Shares, ViewError> {
        let Some(item) = item.item() else { return Ok(Shares::new()) };
        let shares = || (self.function)(&self.engine.layout, item, source);
        catch_unwind(AssertUnwindSafe(shares)).unwrap_or(Err(ViewError::Panicked))
    }

    /// Brings the last change of each item into the view. Answers with the items whose last change was rejected but that
    /// have earlier ones, or none if nothing more is to be started.
    async fn write(&self, batch: &mut Batch<'_, Source<T>, NewImage>, items: Vec<Vec<Step>>) -> Vec<Vec<Step>> {
        let (mut tickets, mut changes) = (Vec::new(), Vec::new());
        for mut steps in items {
            let last = steps.pop().expect("no item is without changes");
            changes.push(last.change);
            tickets.push((last.ticket, steps));
        }
        let limits = Limits { concurrency: self.concurrency, until: give_up(batch.context().deadline).instant() };
        let ended = self.engine.apply(&changes, limits).await;
        let (mut rest, mut halted) = (Vec::new(), false);
        for ((ticket, earlier), ended) in tickets.into_iter().zip(ended) {
            match ended {
                Some(Err(error)) if error.is_reject() => {
                    batch.settle(ticket, Err::<(), _>(error.into_failure()));
                    rest.push(earlier);
                }
                Some(ended) => {
                    halted |= ended.is_err();
                    let all = earlier.into_iter().map(|step| step.ticket).chain([ticket]);
                    all.for_each(|ticket| batch.settle(ticket, ended.clone().map_err(ViewError::into_failure)));
                }
                None => halted = true,
            }
        }
        rest.retain(|item| !halted && !item.is_empty());
        rest
    }
}

/// One record, as a change of the view.
struct Step {
    ticket: Ticket,
    change: Change,
}

impl<T: FromImage> Handler<Source<T>, NewImage> for View<T> {
    async fn handle(&self, batch: &mut Batch<'_, Source<T>, NewImage>) {
        let mut steps = Vec::new();
        for admitted in batch.admit_all() {
            match self.step(admitted) {
                Ok(step) => steps.push(step),
                Err((ticket, verdict)) => batch.settle(ticket, verdict),
            }
        }
        let mut items = by_item(steps);
        while !items.is_empty() {
            items = self.write(batch, items).await;
        }
    }

    fn window(&self) -> usize {
        WINDOW
    }
}

/// Gathers the changes of each item, oldest first, in the order in which the items first appear.
fn by_item(steps: Vec<Step>) -> Vec<Vec<Step>> {
    let mut places: HashMap<Arc<str>, usize> = HashMap::new();
    let mut items: Vec<Vec<Step>> = Vec::new();
    for step in steps {
        let place = *places.entry(Arc::clone(&step.change.source)).or_insert(items.len());
        items.resize_with(items.len().max(place + 1), Vec::new);
        items[place].push(step);
    }
    items.iter_mut().for_each(|steps| steps.sort_by(|a, b| a.change.version.cmp(&b.change.version)));
    items
}

fn give_up(deadline: Deadline) -> Deadline {
    match deadline.remaining() {
        Some(left) => deadline.minus(MARGIN.min(left / 3)),
        None => deadline,
    }
}
