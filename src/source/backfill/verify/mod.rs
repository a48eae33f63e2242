#![doc = include_str!("../../../docs/verify.md")]

mod error;
mod plan;
mod report;
mod rows;
mod run;
mod target;

use std::{fmt, sync::Arc, time::Duration};

pub use error::VerifyError;
pub use plan::VerifyPlan;
pub use report::{Finding, Repair, Report};
pub use rows::{Extent, RowPage, Rows, TableRows};
use run::Run;
use target::{OfReplica, OfView, Target};

use crate::{
    record::{self, FromImage, StreamView},
    replica::Replica,
    sink::table::Item,
    view::View,
};

/// What a role must allow on the source and on the target, to compare them.
pub const ACTIONS: &[&str] = &["dynamodb:BatchGetItem", "dynamodb:DescribeTable", "dynamodb:Scan"];
/// How long a difference has to stay, unless another time is chosen.
pub const DEFAULT_SETTLE: Duration = Duration::from_secs(5);
/// How often something that keeps changing is looked at, unless another number is chosen.
pub const DEFAULT_LOOKS: u32 = 4;
/// So many rows of an aggregate are added up in memory, unless another number is chosen.
pub const DEFAULT_MOST_ROWS: usize = 1_000_000;

/// A comparison of a table with what is made of it, while both go on changing. See [the chapter](self) for what it promises.
///
/// ```
/// use anabranch::{replica::Replica, sink::table::DynamoDb, source::backfill::verify::{TableRows, Verify}};
///
/// # async fn example(client: aws_sdk_dynamodb::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let source = TableRows::of(&client, "PetTracker").await?;
/// let target = TableRows::of(&client, "PetTrackerReplica").await?;
/// let replica = Replica::new(DynamoDb::new(client, "PetTrackerReplica"));
/// let report = Verify::replica(source, replica, target).run().await?;
/// println!("{report}");
/// assert!(report.is_equal());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Verify {
    source: Arc<dyn Rows>,
    target: Arc<dyn Rows>,
    kind: Arc<dyn Target>,
    extent: Extent,
    settle: Duration,
    looks: u32,
    expiry: Option<String>,
    rate: Option<f64>,
    most_rows: usize,
    repairs: bool,
}

/// What a comparison tells as it goes.
#[derive(Debug, Clone, Copy)]
pub enum Event<'r> {
    /// A page of a table is done with; differences in it may still be waiting for another look.
    Page(&'r Report),
    /// A difference has stayed.
    Found(&'r Finding),
}

impl Verify {
    /// Compares `source` with its replica: the very one that the function writes by, with its transformation, tombstones and
    /// version attribute. `target` is the replica's table.
    pub fn replica<V: StreamView<New<record::Item> = record::Item>>(
        source: impl Rows + 'static,
        replica: Replica<V>,
        target: impl Rows + 'static,
    ) -> Self {
        let kind = OfReplica { replica: replica.reading(source.table()), table: target.table() };
        Self::new(Arc::new(source), Arc::new(target), Arc::new(kind))
    }

    /// Compares `source` with a view of it: an aggregate, or a projection. `target` is the view's table.
    ///
    /// `only` says which items of the source come to the view: those that the router brings there, by their entity type for example.
    pub fn view<T: FromImage>(
        source: impl Rows + 'static,
        view: View<T>,
        target: impl Rows + 'static,
        only: impl Fn(&Item) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self::new(Arc::new(source), Arc::new(target), Arc::new(OfView { view, only: Box::new(only) }))
    }

    fn new(source: Arc<dyn Rows>, target: Arc<dyn Rows>, kind: Arc<dyn Target>) -> Self {
        Self {
            source,
            target,
            kind,
            extent: Extent::Full,
            settle: DEFAULT_SETTLE,
            looks: DEFAULT_LOOKS,
            expiry: None,
            rate: None,
            most_rows: DEFAULT_MOST_ROWS,
            repairs: false,
        }
    }

    /// Compares about so many items of the source, and as many rows of the target, from places that chance has chosen. Of an
    /// aggregate the ledger alone: a sum takes all of its items.
    #[must_use]
    pub fn sample(mut self, rows: u64) -> Self {
        self.extent = Extent::Sample(rows);
        self
    }

    /// How long a difference has to stay before it counts: [`DEFAULT_SETTLE`] unless said otherwise.
    ///
    /// Longer than the target lags behind the source: its function's batching window, its retries, its iterator age.
    #[must_use]
    pub fn settle(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }

    /// How often something that differs and keeps changing is looked at, before it counts as moving: [`DEFAULT_LOOKS`] unless said
    /// otherwise, 2 at least.
    #[must_use]
    pub fn looks(mut self, looks: u32) -> Self {
        self.looks = looks.max(2);
        self
    }

    /// Leaves items out whose time to live, in this attribute, has passed: DynamoDB deletes them within a few days, and a backfill
    /// does not bring them.
    #[must_use]
    pub fn skip_expired(mut self, attribute: impl Into<String>) -> Self {
        self.expiry = Some(attribute.into());
        self
    }

    /// Takes no more read units a second than that, of both tables together: no limit by default.
    #[must_use]
    pub fn rate(mut self, units: f64) -> Self {
        self.rate = Some(units);
        self
    }

    /// Adds up at most so many rows of an aggregate: [`DEFAULT_MOST_ROWS`] unless said otherwise.
    #[must_use]
    pub fn most_rows(mut self, rows: usize) -> Self {
        self.most_rows = rows;
        self
    }

    /// Puts right what has stayed different, in a way that no later change is lost by.
    #[must_use]
    pub fn repairing(mut self) -> Self {
        self.repairs = true;
        self
    }

    /// Compares.
    ///
    /// # Errors
    /// See [`VerifyError`]. Differences are no errors.
    pub async fn run(&self) -> Result<Report, VerifyError> {
        self.run_observed(|_| ()).await
    }

    /// The same; `observe` is told as it goes.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_observed(&self, observe: impl FnMut(Event<'_>) + Send) -> Result<Report, VerifyError> {
        Run::new(self, observe).finish().await
    }
}

impl fmt::Debug for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { extent, settle, looks, repairs, .. } = self;
        f.debug_struct("Verify")
            .field("extent", extent)
            .field("settle", settle)
            .field("looks", looks)
            .field("repairs", repairs)
            .finish_non_exhaustive()
    }
}
