//! A table as a history: a scan of it.

use std::time::SystemTime;

use aws_sdk_dynamodb::{Client, types::TableDescription};
use futures_util::{StreamExt, stream::BoxStream};

use super::{BackfillError, History, Portion, Rates, expiry::is_image_expired};
use crate::{
    aws::AwsFailure,
    handler::{BoxError, Deadline},
    record::{
        DecodeError,
        wire::{EventWriter, ItemJson, RecordParts},
    },
    scan::{Cursor, Page, Scan, SinkRate},
};

/// A table that is scanned from its beginning: each page is a portion, and what it held when the page was asked for.
///
/// Reads are eventually consistent unless the scan is [made otherwise](Self::scan_with): the stream has what a page has missed, as long as the mapping
/// was enabled before the backfill began.
pub struct TableHistory {
    client: Client,
    table: String,
    arn: Option<String>,
    keys: Vec<String>,
    segments: u32,
    rate: Option<f64>,
    sink_rate: Option<SinkRate>,
    expiry: Option<String>,
    configure: Box<dyn Fn(Scan) -> Scan + Send + Sync>,
}

impl TableHistory {
    /// The table of this name, whose keys are looked up: `dynamodb:DescribeTable`.
    ///
    /// # Errors
    /// There is no such table, or it may not be described.
    pub async fn of(client: &Client, table: impl Into<String>) -> Result<Self, BackfillError> {
        let table = table.into();
        let described = client.describe_table().table_name(&table).send().await;
        let described = described.map_err(|error| BackfillError::History { source: AwsFailure::of(&error).into() })?;
        Ok(Self::described(client, table, described.table.as_ref()))
    }

    /// The same of a table that was described already.
    pub fn described(client: &Client, table: impl Into<String>, description: Option<&TableDescription>) -> Self {
        let keys = description.iter().flat_map(|table| table.key_schema()).map(|key| key.attribute_name.clone());
        Self {
            client: client.clone(),
            table: table.into(),
            arn: description.and_then(|table| table.table_arn.clone()),
            keys: keys.collect(),
            segments: 1,
            rate: None,
            sink_rate: None,
            expiry: None,
            configure: Box::new(|scan| scan),
        }
    }

    /// Divides the table into so many segments: 1 by default, 1,000,000 at most.
    #[must_use]
    pub fn segments(mut self, segments: u32) -> Self {
        self.segments = segments;
        self
    }

    /// The read units a second that each worker may take: the budget by the number of workers. No limit by default.
    #[must_use]
    pub fn rate(mut self, units: f64) -> Self {
        self.rate = Some(units);
        self
    }

    /// How fast each worker may hand rows to the handlers. No limit by default.
    #[must_use]
    pub fn sink_rate(mut self, rate: SinkRate) -> Self {
        self.sink_rate = Some(rate);
        self
    }

    /// Leaves rows out whose time to live, in this attribute, has passed: DynamoDB deletes them within a few days. What it never
    /// deletes is brought: times of another type than Number, and those more than five years in the past.
    #[must_use]
    pub fn skip_expired(mut self, attribute: impl Into<String>) -> Self {
        self.expiry = Some(attribute.into());
        self
    }

    /// Makes the scan otherwise than by default: with a filter, other pages, consistent reads. Keep the keys in a projection.
    #[must_use]
    pub fn scan_with(mut self, configure: impl Fn(Scan) -> Scan + Send + Sync + 'static) -> Self {
        self.configure = Box::new(configure);
        self
    }

    /// The name of the table.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Where each segment begins.
    ///
    /// # Errors
    /// Settings that no scan can have.
    pub fn places(&self) -> Result<Vec<Cursor>, BackfillError> {
        self.scan().cursors().map_err(|error| BackfillError::History { source: error.into() })
    }

    /// The same table, with nothing set.
    pub(super) fn again(&self) -> Self {
        let Self { client, table, arn, keys, .. } = self;
        let (client, table, arn, keys) = (client.clone(), table.clone(), arn.clone(), keys.clone());
        Self { client, table, arn, keys, ..Self::described(&self.client, "", None) }
    }

    fn scan(&self) -> Scan {
        let scan = Scan::new(&self.client, &self.table).keys(self.keys.clone()).segments(self.segments);
        // A slice that waits for its rows would read ahead in vain: the next one begins behind the last page that was handled.
        let scan = if self.sink_rate.is_some() { scan.prefetch(0) } else { scan };
        (self.configure)(scan)
    }

    fn portion(&self, page: &Page) -> Result<Portion<Cursor>, DecodeError> {
        let (mut event, mut records, mut expired, mut cost) = (EventWriter::new(), 0, 0, 0.0);
        let now = SystemTime::now();
        for item in page.items() {
            if self.expiry.as_ref().is_some_and(|attribute| is_image_expired(item, attribute, now)) {
                expired += 1;
                continue;
            }
            let keys = ItemJson::select(item, &self.keys)?;
            let row = RecordParts {
                source_arn: self.arn.as_deref().map(Into::into),
                ..RecordParts::snapshot(keys, ItemJson::from_json(item.json()), page.requested_at().into())
            };
            event.push(&row);
            records += 1;
            cost += self.sink_rate.map_or(0.0, |rate| rate.cost(item.json().len()));
        }
        let (payload, next) = (event.finish(), page.cursor().cloned());
        let sink_units = self.sink_rate.map(|_| cost);
        Ok(Portion { payload, records, scanned: page.scanned(), expired, units: page.units(), sink_units, next })
    }
}

impl History for TableHistory {
    type Place = Cursor;

    fn open(&self, place: &Cursor, deadline: Deadline) -> BoxStream<'_, Result<Portion<Cursor>, BoxError>> {
        let mut scan = self.scan().resume([place.clone()]);
        if let Some(until) = deadline.instant() {
            scan = scan.until(until);
        }
        // The backfill keeps to the rate as well. This one reads no further ahead, and goes slower when the table is throttled.
        if let Some(rate) = self.rate {
            scan = scan.rate(rate);
        }
        scan.pages().map(|page| Ok(self.portion(&page?)?)).boxed()
    }

    fn rates(&self) -> Rates {
        Rates { units: self.rate, rows: self.sink_rate.map(SinkRate::per_second) }
    }
}

impl std::fmt::Debug for TableHistory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { table, segments, keys, .. } = self;
        f.debug_struct("TableHistory")
            .field("table", table)
            .field("segments", segments)
            .field("keys", keys)
            .finish_non_exhaustive()
    }
}
