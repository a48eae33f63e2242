//! A table that is read through, and by key.

use std::{collections::VecDeque, sync::Arc};

use aws_sdk_dynamodb::Client;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::super::{BackfillError, Plan};
use crate::{
    aws::AwsFailure,
    handler::BoxError,
    record,
    scan::{Cursor, Page, Scan, ScanError},
    sink::table::{DynamoDb, Item, Reads},
};

/// So many items of a sample lie side by side at least.
pub(super) const TOGETHER: u64 = 10;
/// A sample is taken from so many places at most.
const MOST_PLACES: u64 = 512;

/// A table as it is compared: page by page, and row by row.
pub trait Rows: Send + Sync {
    /// The names of the key attributes.
    fn keys(&self) -> &[String];

    /// The table, for reads by key.
    fn table(&self) -> Arc<dyn Reads>;

    /// The rows, or some of them, page by page. A page may be of any time since the stream was made.
    fn pages(&self, extent: Extent) -> BoxStream<'_, Result<RowPage, BoxError>>;
}

/// How much is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All rows.
    Full,
    /// About so many rows, from places that chance has chosen.
    Sample(u64),
}

/// Some rows of a table.
#[derive(Clone, Default)]
pub struct RowPage {
    /// The rows.
    pub rows: Vec<Item>,
    /// The read units that they took, as far as they are known.
    pub units: f64,
}

/// A table of DynamoDB, which is scanned.
#[derive(Debug, Clone)]
pub struct TableRows {
    client: Client,
    table: String,
    keys: Vec<String>,
    workers: usize,
    segments: u32,
    rate: Option<f64>,
}

impl TableRows {
    /// The table of this name, whose keys are looked up: `dynamodb:DescribeTable`.
    ///
    /// # Errors
    /// There is no such table, or it may not be described.
    pub async fn of(client: &Client, table: impl Into<String>) -> Result<Self, BackfillError> {
        let table = table.into();
        let described = client.describe_table().table_name(&table).send().await;
        let described = described.map_err(|error| BackfillError::History { source: AwsFailure::of(&error).into() })?;
        let keys = described.table.iter().flat_map(|table| table.key_schema());
        let keys: Vec<_> = keys.map(|key| key.attribute_name.clone()).collect();
        Ok(Self::new(client, table, keys))
    }

    /// The table of this name with these key attributes: nothing is looked up.
    pub fn new(client: &Client, table: impl Into<String>, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let keys = keys.into_iter().map(Into::into).collect();
        Self { client: client.clone(), table: table.into(), keys, workers: 1, segments: 1, rate: None }
    }

    /// Reads so many segments, of which so many at the same time: 1 and 1 by default.
    #[must_use]
    pub fn segments(mut self, segments: u32, workers: usize) -> Self {
        (self.segments, self.workers) = (segments, workers);
        self
    }

    /// Takes at most so many read units a second for its pages: no limit by default.
    #[must_use]
    pub fn rate(mut self, units: f64) -> Self {
        self.rate = Some(units);
        self
    }

    /// Reads as planned.
    #[must_use]
    pub fn planned(self, plan: &Plan) -> Self {
        let rows = self.segments(plan.segments, plan.workers as usize);
        Self { rate: plan.rate, ..rows }
    }

    fn scan(&self, segments: u32) -> Scan {
        let scan = Scan::new(&self.client, &self.table).segments(segments).workers(self.workers);
        match self.rate {
            Some(rate) => scan.rate(rate),
            None => scan,
        }
    }

    /// Goes round the segments in random order and takes a few rows of each, until there are enough or none is left.
    fn sample(&self, rows: u64) -> BoxStream<'_, Result<RowPage, BoxError>> {
        let segments = rows.div_ceil(TOGETHER).clamp(1, MOST_PLACES) as u32;
        let together = rows.div_ceil(u64::from(segments)).max(TOGETHER);
        let cursors = match self.scan(segments).cursors() {
            Ok(cursors) => scattered(cursors),
            Err(error) => return stream::once(async move { Err(error.into()) }).boxed(),
        };
        stream::try_unfold((cursors, rows), move |(mut cursors, left)| async move {
            let Some(cursor) = cursors.pop_front().filter(|_| left > 0) else { return Ok(None) };
            let limit = u32::try_from(left.min(together)).unwrap_or(i32::MAX as u32);
            let scan = self.scan(segments).resume([cursor]).page_limit(limit).prefetch(0);
            let Some(page) = scan.pages().next().await else { return Ok(None) };
            let page = page?;
            cursors.extend(page.cursor().cloned());
            let left = left - page.len() as u64;
            Ok(Some((rows_of(page)?, (cursors, left))))
        })
        .boxed()
    }
}

impl Rows for TableRows {
    fn keys(&self) -> &[String] {
        &self.keys
    }

    fn table(&self) -> Arc<dyn Reads> {
        Arc::new(DynamoDb::new(self.client.clone(), &*self.table))
    }

    fn pages(&self, extent: Extent) -> BoxStream<'_, Result<RowPage, BoxError>> {
        match extent {
            Extent::Sample(rows) => self.sample(rows),
            Extent::Full => self.scan(self.segments).pages().map(|page| rows_of(page?)).boxed(),
        }
    }
}

fn rows_of(page: Page) -> Result<RowPage, BoxError> {
    let rows = page.decode::<record::Item>().map(|row| row.map(|row| row.0).map_err(ScanError::from));
    Ok(RowPage { rows: rows.collect::<Result<_, _>>()?, units: page.units().unwrap_or_default() })
}

/// In an order that differs from one time to the next.
fn scattered(mut cursors: Vec<Cursor>) -> VecDeque<Cursor> {
    use std::hash::BuildHasher;
    let random = std::collections::hash_map::RandomState::new();
    cursors.sort_by_cached_key(|cursor| random.hash_one(serde_json::to_string(cursor).unwrap_or_default()));
    cursors.into()
}
