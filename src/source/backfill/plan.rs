//! What a backfill will read, how long it takes and what it costs, before anything is read.

use std::{fmt, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    types::{BillingMode, StreamViewType, TableDescription, TableStatus, TimeToLiveStatus},
};
use serde::{Deserialize, Serialize};

use super::{BackfillError, TableHistory};
use crate::aws::AwsFailure;

/// A read unit reads so much, twice that eventually consistent.
const READ_UNIT: f64 = 4096.0;
/// The list price of a million read units on demand, in US dollars (us-east-1, since November 2024).
const MILLION_READS: f64 = 0.125;
/// A stream keeps a record for so long.
const RETENTION: Duration = Duration::from_secs(24 * 3600);
/// One worker's share of a table is read in as many parts.
const SEGMENTS_PER_WORKER: u32 = 8;
/// A segment has at least so much, if there is enough.
const SMALLEST_SEGMENT: u64 = 16 << 20;
/// More do not fit into the 256 KB of a state machine's state, which holds the cursor of each with names as long as they may be, and
/// what became of it.
pub(super) const MOST_SEGMENTS: u32 = 300;
/// The part of a provisioned table's read capacity that a backfill may have.
const LARGEST_SHARE: f64 = 0.8;
/// What one sequential reader takes at most, about: a page of 1 MB in 40 ms.
pub(super) const WORKER_RATE: f64 = 3_000.0;

const RECKLESS: &str = "there is no rate, so the table is read as fast as it goes; set one if its users mind";

/// What a table is, as far as a backfill of it matters.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TableFacts {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: Option<String>,
    /// Its key attributes.
    pub keys: Vec<String>,
    /// How many items it has, as of some hours ago.
    pub items: u64,
    /// How large it is in bytes, as of some hours ago.
    pub bytes: u64,
    /// The read units a second that it is provisioned with; none on demand.
    pub provisioned: Option<u64>,
    /// What its stream carries, if it is switched on.
    pub stream: Option<String>,
    /// The attribute of its time to live, if that is switched on.
    pub expiry: Option<String>,
    /// Whether it can be read.
    pub active: bool,
}

impl TableFacts {
    /// Looks a table up: `dynamodb:DescribeTable` and `dynamodb:DescribeTimeToLive`; with what is needed to scan it.
    ///
    /// # Errors
    /// There is no such table, or it may not be described.
    pub async fn of(client: &Client, table: &str) -> Result<(Self, TableHistory), BackfillError> {
        let failed = |failure: AwsFailure| BackfillError::History { source: failure.into() };
        let described = client.describe_table().table_name(table).send().await;
        let described = described
            .map_err(|error| failed(AwsFailure::of(&error)))?
            .table
            .unwrap_or_else(|| TableDescription::builder().table_name(table).build());
        let expiry = client.describe_time_to_live().table_name(table).send().await;
        let expiry = expiry.map_err(|error| failed(AwsFailure::of(&error)))?.time_to_live_description;
        let expiry = expiry.filter(|expiry| expiry.time_to_live_status == Some(TimeToLiveStatus::Enabled));
        let facts =
            Self { expiry: expiry.and_then(|expiry| expiry.attribute_name), ..Self::described(table, &described) };
        Ok((facts, TableHistory::described(client, table, Some(&described))))
    }

    /// The same of a table that was described already, without its time to live.
    pub fn described(name: &str, table: &TableDescription) -> Self {
        let count = |number: Option<i64>| u64::try_from(number.unwrap_or_default()).unwrap_or_default();
        let on_demand =
            table.billing_mode_summary().and_then(|mode| mode.billing_mode()) == Some(&BillingMode::PayPerRequest);
        let units = table.provisioned_throughput().and_then(|units| units.read_capacity_units());
        let stream = table.stream_specification().filter(|stream| stream.stream_enabled());
        Self {
            name: name.to_owned(),
            arn: table.table_arn.clone(),
            keys: table.key_schema().iter().map(|key| key.attribute_name.clone()).collect(),
            items: count(table.item_count()),
            bytes: count(table.table_size_bytes()),
            provisioned: units
                .filter(|_| !on_demand)
                .and_then(|units| u64::try_from(units).ok())
                .filter(|units| *units > 0),
            stream: stream
                .and_then(|stream| stream.stream_view_type())
                .map(|view| StreamViewType::as_str(view).to_owned()),
            expiry: None,
            active: matches!(table.table_status(), None | Some(TableStatus::Active | TableStatus::Updating)),
        }
    }

    /// The same of an index, where a reading of it takes what it has and not what its table has; nothing if there is no such index.
    pub fn described_index(name: &str, table: &TableDescription, index: &str) -> Option<Self> {
        let of_table = Self::described(name, table);
        let global = table.global_secondary_indexes().iter().find(|global| global.index_name() == Some(index));
        let local = table.local_secondary_indexes().iter().find(|local| local.index_name() == Some(index));
        let (items, bytes) = match (global, local) {
            (Some(global), _) => (global.item_count(), global.index_size_bytes()),
            (None, Some(local)) => (local.item_count(), local.index_size_bytes()),
            (None, None) => return None,
        };
        let own = global.and_then(|global| global.provisioned_throughput()?.read_capacity_units());
        let own = own.and_then(|units| u64::try_from(units).ok()).filter(|units| *units > 0);
        Some(Self {
            name: format!("{name}/index/{index}"),
            items: items.and_then(|items| u64::try_from(items).ok()).unwrap_or_default(),
            bytes: bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
            provisioned: if of_table.provisioned.is_some() && global.is_some() { own } else { of_table.provisioned },
            ..of_table
        })
    }
}

/// What is wanted of a backfill; everything has a default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Wish {
    /// How many segments are read at the same time: 4 by default.
    pub workers: Option<u32>,
    /// How many segments there are: some for each worker by default.
    pub segments: Option<u32>,
    /// The read units a second that all workers take together: half of what is provisioned by default, and no limit on demand.
    pub rate: Option<f64>,
    /// Items a second that all workers hand to the handlers together: no limit by default.
    pub items_per_second: Option<f64>,
    /// How many items a page has at most, before any are left out: as many as fit into 1 MB by default. Of smaller pages a slice that is
    /// killed repeats less; each is rounded up to half a read unit.
    pub page_items: Option<u32>,
    /// Whether reads are consistent, at twice the price.
    pub consistent: bool,
    /// Whether rows that are expired are read all the same.
    pub keep_expired: bool,
}

/// What a backfill will do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The table.
    pub table: String,
    /// How many items it has, about.
    pub items: u64,
    /// How large it is in bytes, about.
    pub bytes: u64,
    /// How many segments are read at the same time.
    pub workers: u32,
    /// How many segments there are.
    pub segments: u32,
    /// The read units a second that all workers take together.
    pub rate: Option<f64>,
    /// Items a second that all workers hand to the handlers together.
    pub items_per_second: Option<f64>,
    /// How many items a page has at most.
    #[serde(default)]
    pub page_items: Option<u32>,
    /// Whether reads are consistent.
    pub consistent: bool,
    /// The attribute by which expired rows are left out.
    pub expiry: Option<String>,
    /// The read units that it takes, about.
    pub units: f64,
    /// What they cost on demand at list price, in US dollars, about. What the handlers write costs more.
    pub dollars: f64,
    /// How long it takes at least, in seconds, about.
    pub seconds: f64,
    /// What should be thought about before it is begun.
    pub warnings: Vec<String>,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The table cannot be read now.
    #[error("table `{table}` is not active; wait until it is")]
    NotActive {
        /// The table.
        table: String,
    },
    /// A setting that no backfill can have.
    #[error("{setting} is {value}, and has to be {expected}")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The table's users would be throttled.
    #[error(
        "{rate} read units a second are more than 80 % of the {provisioned} that table `{table}` is provisioned with: its users \
         would be throttled; lower the rate, raise the table's capacity, or read an export of it, which takes none"
    )]
    Starving {
        /// The table.
        table: String,
        /// What was asked for.
        rate: f64,
        /// What there is.
        provisioned: u64,
    },
}

impl Plan {
    /// Plans a backfill of a table.
    ///
    /// # Errors
    /// What would do harm, and what cannot be.
    pub fn of(table: &TableFacts, wish: Wish) -> Result<Self, PlanError> {
        let mut plan = Self::of_reading(table, wish)?;
        plan.warnings.splice(0..0, plan.stream_warnings(table));
        Ok(plan)
    }

    /// Plans a reading of a table for whatever its items are wanted, where the stream is none of its business.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn of_reading(table: &TableFacts, wish: Wish) -> Result<Self, PlanError> {
        if !table.active {
            return Err(PlanError::NotActive { table: table.name.clone() });
        }
        let rate = rate(table, wish)?;
        positive("the number of items a second", wish.items_per_second)?;
        let workers = at_least_one("the number of workers", wish.workers.unwrap_or(4))?;
        let segments =
            at_least_one("the number of segments", wish.segments.unwrap_or_else(|| segments(table, workers)))?;
        let page_items =
            wish.page_items.map(|items| at_least_one("the number of items to a page", items)).transpose()?;
        let unit = READ_UNIT * if wish.consistent { 1.0 } else { 2.0 };
        let units = (table.bytes as f64 / unit).ceil();
        let by_rate = units / rate.unwrap_or(f64::from(workers) * WORKER_RATE);
        let seconds = by_rate.max(wish.items_per_second.map_or(0.0, |limit| table.items as f64 / limit));
        let reckless = rate.is_none() && units > 1e6;
        Ok(Self {
            table: table.name.clone(),
            items: table.items,
            bytes: table.bytes,
            workers: workers.min(segments),
            segments,
            rate,
            items_per_second: wish.items_per_second,
            page_items,
            consistent: wish.consistent,
            expiry: table.expiry.clone().filter(|_| !wish.keep_expired),
            units,
            dollars: Self::dollars(units),
            seconds,
            warnings: reckless.then(|| RECKLESS.to_owned()).into_iter().collect(),
        })
    }

    /// Plans to look through a replica for what does not belong there: at the wished rate, or what the replica can spare if that is
    /// less, and whatever is expired.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn of_sweep(replica: &TableFacts, wish: Wish) -> Result<Self, PlanError> {
        let spare = replica.provisioned.map(|units| units as f64 * LARGEST_SHARE);
        let rate = wish.rate.map(|rate| spare.map_or(rate, |spare| rate.min(spare)));
        Self::of_reading(replica, Wish { rate, keep_expired: true, ..wish })
    }

    /// What read units cost on demand at list price, in US dollars.
    pub fn dollars(units: f64) -> f64 {
        units / 1e6 * MILLION_READS
    }

    fn stream_warnings(&self, table: &TableFacts) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.seconds > RETENTION.as_secs_f64() {
            warnings.push(format!(
                "it takes about {:.0} hours, longer than the 24 that a stream keeps its records: should the mapping fall behind or \
                 be switched off meanwhile, changes are lost; raise the rate, or backfill from an export, which the 35 days of \
                 point-in-time recovery can bring up to date: `aws dynamodb export-table-to-point-in-time --table-arn {} --s3-bucket \
                 BUCKET`, and when it is complete, `anabranch backfill --export s3://BUCKET/AWSDynamoDB --table {} --to REPLICA`",
                self.seconds / 3600.0,
                table.arn.as_deref().unwrap_or("ARN"),
                table.name,
            ));
        }
        match table.stream.as_deref() {
            None => warnings.push(
                "the table's stream is off: switch it on and enable the mapping before the backfill, or changes made \
                 meanwhile are lost"
                    .to_owned(),
            ),
            Some("KEYS_ONLY" | "OLD_IMAGE") => warnings.push(
                "the stream carries no new images, so handlers of live changes see less than the backfill shows them"
                    .to_owned(),
            ),
            Some(_) => {}
        }
        warnings
    }

    /// The table as a history that is read as planned.
    pub fn apply(&self, history: TableHistory) -> TableHistory {
        let (workers, consistent, page_items) = (f64::from(self.workers), self.consistent, self.page_items);
        let mut history = history.segments(self.segments);
        if let Some(rate) = self.rate {
            history = history.rate(rate / workers);
        }
        if let Some(items) = self.items_per_second {
            history = history.sink_rate(crate::scan::SinkRate::Items(items / workers));
        }
        if let Some(attribute) = &self.expiry {
            history = history.skip_expired(attribute);
        }
        history.scan_with(move |scan| {
            let scan = if consistent { scan.consistent() } else { scan };
            page_items.into_iter().fold(scan, |scan, items| scan.page_limit(items))
        })
    }
}

/// The budget of read units a second.
fn rate(table: &TableFacts, wish: Wish) -> Result<Option<f64>, PlanError> {
    positive("the rate", wish.rate)?;
    let Some(provisioned) = table.provisioned else { return Ok(wish.rate) };
    let rate = wish.rate.unwrap_or(provisioned as f64 / 2.0);
    if rate > provisioned as f64 * LARGEST_SHARE {
        return Err(PlanError::Starving { table: table.name.clone(), rate, provisioned });
    }
    Ok(Some(rate))
}

/// Many more than workers, so that none is left alone with the last; fewer if the table is small.
fn segments(table: &TableFacts, workers: u32) -> u32 {
    let by_size = u32::try_from(table.bytes / SMALLEST_SEGMENT).unwrap_or(u32::MAX).max(1);
    by_size.min(workers.saturating_mul(SEGMENTS_PER_WORKER)).max(workers).min(MOST_SEGMENTS)
}

fn positive(setting: &'static str, value: Option<f64>) -> Result<(), PlanError> {
    match value {
        Some(value) if !(value > 0.0 && value.is_finite()) => {
            Err(PlanError::Setting { setting, value: value.to_string(), expected: "more than 0" })
        }
        _ => Ok(()),
    }
}

fn at_least_one(setting: &'static str, value: u32) -> Result<u32, PlanError> {
    if (1..=1_000_000).contains(&value) {
        return Ok(value);
    }
    Err(PlanError::Setting { setting, value: value.to_string(), expected: "between 1 and 1,000,000" })
}

/// For people.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, items, bytes, workers, segments, units, dollars, seconds, .. } = self;
        let time = humantime::format_duration(Duration::from_secs(seconds.ceil() as u64));
        writeln!(f, "table      {table}: about {items} items, {:.1} MB (as of some hours ago)", *bytes as f64 / 1e6)?;
        writeln!(f, "segments   {segments}, {workers} at a time")?;
        match self.rate {
            Some(rate) => writeln!(f, "rate       {rate} read units a second")?,
            None => writeln!(f, "rate       as fast as it goes")?,
        }
        if let Some(expiry) = &self.expiry {
            writeln!(f, "expired    rows whose `{expiry}` has passed are left out")?;
        }
        writeln!(
            f,
            "reads      about {units:.0} units, {dollars:.2} US dollars on demand at list price; writes come on top"
        )?;
        writeln!(f, "time       about {time}, if the targets keep up")?;
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning    {warning}"))
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::{
        GlobalSecondaryIndexDescription, LocalSecondaryIndexDescription, ProvisionedThroughputDescription,
    };

    use super::*;

    fn table() -> TableFacts {
        TableFacts {
            name: "PetTracker".into(),
            arn: None,
            keys: vec!["PK".into(), "SK".into()],
            items: 4_000_000,
            bytes: 8 << 30,
            provisioned: Some(1_000),
            stream: Some("NEW_AND_OLD_IMAGES".into()),
            expiry: None,
            active: true,
        }
    }

    #[test]
    fn a_provisioned_table_gives_half_of_its_capacity() {
        let plan = Plan::of(&table(), Wish::default()).unwrap();
        assert_eq!((plan.rate, plan.workers, plan.segments), (Some(500.0), 4, 32));
        assert_eq!(plan.units, 1_048_576.0, "8 GiB by 8 KiB");
        assert!((plan.seconds - 2_097.152).abs() < 1e-6 && (plan.dollars - 0.131).abs() < 1e-3, "{plan:?}");
        assert_eq!(plan.warnings, Vec::<String>::new());
        let consistent = Plan::of(&table(), Wish { consistent: true, ..Wish::default() }).unwrap();
        assert_eq!(consistent.units, 2.0 * plan.units);
    }

    #[test]
    fn a_dangerous_plan_is_refused() {
        let starving = Plan::of(&table(), Wish { rate: Some(801.0), ..Wish::default() }).unwrap_err();
        assert!(matches!(starving, PlanError::Starving { provisioned: 1_000, .. }));
        let gone = Plan::of(&TableFacts { active: false, ..table() }, Wish::default()).unwrap_err();
        assert!(matches!(gone, PlanError::NotActive { .. }));
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = Plan::of(&table(), Wish { rate: Some(rate), ..Wish::default() }).unwrap_err();
            assert!(matches!(error, PlanError::Setting { setting: "the rate", .. }), "{error}");
        }
        let empty = Plan::of(&table(), Wish { page_items: Some(0), ..Wish::default() }).unwrap_err();
        assert!(empty.to_string().contains("the number of items to a page is 0"), "{empty}");
        let none = Plan::of(&table(), Wish { workers: Some(0), ..Wish::default() }).unwrap_err();
        assert_eq!(none.to_string(), "the number of workers is 0, and has to be between 1 and 1,000,000");
    }

    #[test]
    fn what_outlasts_the_stream_is_warned_of() {
        let slow = Plan::of(&table(), Wish { rate: Some(10.0), ..Wish::default() }).unwrap();
        assert!(slow.to_string().contains("warning    it takes about 29 hours"), "{slow}");
        let route = "`anabranch backfill --export s3://BUCKET/AWSDynamoDB --table PetTracker --to REPLICA`";
        assert!(slow.warnings[0].contains(route), "{slow}");
        let items = Plan::of(&table(), Wish { items_per_second: Some(40.0), ..Wish::default() }).unwrap();
        assert_eq!(items.seconds, 100_000.0);
        let off = Plan::of(&TableFacts { stream: None, ..table() }, Wish::default()).unwrap();
        assert!(off.warnings[0].contains("stream is off"));
        let keys = Plan::of(&TableFacts { stream: Some("KEYS_ONLY".into()), ..table() }, Wish::default()).unwrap();
        assert!(keys.warnings[0].contains("no new images"));
    }

    #[test]
    fn a_reading_has_nothing_to_do_with_the_stream() {
        let off = TableFacts { stream: None, provisioned: None, ..table() };
        let plan = Plan::of_reading(&off, Wish::default()).unwrap();
        assert_eq!(plan.warnings, [RECKLESS]);
        assert_eq!(Plan::of(&off, Wish::default()).unwrap().warnings.len(), 2);
        assert!(Plan::of_reading(&table(), Wish { rate: Some(900.0), ..Wish::default() }).is_err());
    }

    #[test]
    fn a_sweep_takes_what_the_replica_can_spare() {
        let replica = TableFacts { stream: None, provisioned: Some(10), expiry: Some("ttl".into()), ..table() };
        let wish = Wish { rate: Some(500.0), ..Wish::default() };
        assert!(Plan::of_reading(&replica, wish).is_err());
        let plan = Plan::of_sweep(&replica, wish).unwrap();
        assert_eq!((plan.rate, plan.expiry, plan.warnings), (Some(8.0), None, Vec::new()));
        assert_eq!(Plan::of_sweep(&replica, Wish::default()).unwrap().rate, Some(5.0));
        let on_demand = TableFacts { provisioned: None, ..replica };
        assert_eq!(Plan::of_sweep(&on_demand, wish).unwrap().rate, Some(500.0));
        assert!(Plan::of_sweep(&on_demand, Wish { rate: Some(-1.0), ..Wish::default() }).is_err());
    }

    #[test]
    fn an_index_has_a_size_and_a_capacity_of_its_own() {
        let units = |units| {
            let units = ProvisionedThroughputDescription::builder().read_capacity_units(units).write_capacity_units(1);
            units.build()
        };
        let global = GlobalSecondaryIndexDescription::builder().index_name("byName").item_count(7);
        let global = global.index_size_bytes(700).provisioned_throughput(units(30)).build();
        let local = LocalSecondaryIndexDescription::builder().index_name("byAge").item_count(9).index_size_bytes(900);
        let table =
            TableDescription::builder().item_count(10).table_size_bytes(1_000).provisioned_throughput(units(50));
        let table = table.global_secondary_indexes(global).local_secondary_indexes(local.build()).build();
        let facts = |index| TableFacts::described_index("Pets", &table, index);
        let of = |index| facts(index).map(|facts| (facts.items, facts.bytes, facts.provisioned));
        assert_eq!((of("byName"), of("byAge")), (Some((7, 700, Some(30))), Some((9, 900, Some(50)))));
        assert!(facts("none").is_none() && facts("byName").is_some_and(|facts| facts.name == "Pets/index/byName"));
    }

    #[test]
    fn small_tables_have_few_segments() {
        let segments = |bytes, wish| Plan::of(&TableFacts { bytes, ..table() }, wish).unwrap().segments;
        assert_eq!(segments(0, Wish::default()), 4);
        assert_eq!(segments(200 << 20, Wish::default()), 12);
        assert_eq!(segments(1 << 50, Wish { workers: Some(500), ..Wish::default() }), MOST_SEGMENTS);
        let one = Plan::of(&table(), Wish { segments: Some(1), ..Wish::default() }).unwrap();
        assert_eq!((one.segments, one.workers), (1, 1), "no more workers than segments");
    }
}
