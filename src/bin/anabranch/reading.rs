//! What `scan` and `export` read: a table, an index, or the items of a query.

use std::{collections::HashMap, num::NonZeroU32};

use anabranch::{
    scan::{Cursor, Pages, Progress, Query, Read, Scan, key_names},
    source::backfill::{Plan, TableFacts, Wish},
};
use aws_sdk_dynamodb::{Client, types::TableDescription};
use serde_dynamo::AttributeValue;
use serde_json::{Value, json};

use crate::{BoxError, connection::Connection};

/// Many more segments than workers, where nothing is known of the table.
const SEGMENTS_PER_WORKER: u32 = 8;

#[derive(clap::Args)]
pub(crate) struct Reading {
    /// The table that is read
    pub(crate) table: String,
    /// Read this index instead of the table
    #[arg(long)]
    index: Option<String>,
    /// Query instead of scan: the items of one partition key, such as 'PK = :pk AND begins_with(SK, :prefix)'
    #[arg(long, value_name = "EXPRESSION", conflicts_with_all = ["segments", "workers"])]
    key_condition: Option<String>,
    /// Read a query from the last sort key to the first
    #[arg(long, requires = "key_condition")]
    backward: bool,
    /// Only items of which this holds, such as 'species = :species'; the others are read and paid for as well
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
    /// Only these attributes and the keys: name,address.city
    #[arg(long, value_name = "PATHS", value_delimiter = ',')]
    project: Vec<String>,
    /// Aliases of names that expressions cannot hold, as JSON: {"#odd": "a-b"}. Reserved words need none
    #[arg(long, value_name = "JSON", value_parser = names)]
    names: Option<Names>,
    /// Values of expressions as JSON, plain or DynamoDB's: {":species": "cat", ":id": {"B": "AP8H"}}
    #[arg(long, value_name = "JSON", value_parser = values)]
    values: Option<Values>,
    /// Read consistently, at twice the price; not to be had of a global index
    #[arg(long)]
    consistent: bool,
    /// At most so many items to a page, before the filter [default: as many as fit into 1 MB]
    #[arg(long, value_name = "ITEMS")]
    page_limit: Option<NonZeroU32>,
    /// How many segments a scan is divided into [default: one with one worker, some for each with more]
    #[arg(long)]
    segments: Option<NonZeroU32>,
    /// How many segments are read at the same time; with more than one, items come in no order [default: 1 to print, 4 to export]
    #[arg(long)]
    workers: Option<NonZeroU32>,
    /// Read units a second, for all workers together [default: half of what is provisioned; no limit on demand]
    #[arg(long, value_name = "UNITS", value_parser = positive)]
    rate: Option<f64>,
    /// End after so many items
    #[arg(long, value_name = "ITEMS")]
    take: Option<u64>,
    /// The region of the table, if it is not the environment's
    #[arg(long)]
    region: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

type Names = HashMap<String, String>;
type Values = HashMap<String, Value>;

fn names(text: &str) -> Result<Names, serde_json::Error> {
    serde_json::from_str(text)
}

fn values(text: &str) -> Result<Values, serde_json::Error> {
    serde_json::from_str(text)
}

pub(crate) fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && number.is_finite());
    number.ok_or_else(|| "it has to be a number that is more than 0".to_owned())
}

/// What the table says of itself, to those who may ask.
#[derive(Default)]
pub(crate) struct Known {
    /// What a scan will do; nothing for a query.
    pub(crate) plan: Option<Plan>,
    local_index: bool,
    /// The key attributes of the table, and of the index if one is read; none are known of a table that may not be described.
    keys: Vec<String>,
}

impl Known {
    /// How many items there are, about.
    pub(crate) fn items(&self) -> Option<u64> {
        self.plan.as_ref().map(|plan| plan.items)
    }

    /// Prints the plan; an error if there is none and it was asked for.
    pub(crate) fn print(&self, as_json: bool, asked: bool) -> Result<(), BoxError> {
        match &self.plan {
            Some(plan) if as_json => println!("{}", json!({ "plan": plan })),
            Some(plan) => print!("{plan}"),
            None if asked => {
                return Err(
                    "there is no plan: of a query nothing is known before, and a scan's takes dynamodb:DescribeTable \
                            on a table that is there"
                        .into(),
                );
            }
            None => {}
        }
        Ok(())
    }
}

impl Reading {
    pub(crate) async fn client(&self) -> Client {
        self.connection.client(self.region.clone()).await
    }

    /// Looks the table up. Whoever may not describe it reads it without a plan.
    pub(crate) async fn look_up(&self, client: &Client, workers: u32) -> Result<Known, BoxError> {
        let described = client.describe_table().table_name(&self.table).send().await;
        let Some(table) = described.ok().and_then(|described| described.table) else { return Ok(Known::default()) };
        let local_index =
            table.local_secondary_indexes().iter().any(|local| local.index_name() == self.index.as_deref());
        let plan = match self.facts(&table) {
            Some(facts) if self.key_condition.is_none() => Some(Plan::of_reading(&facts, self.wish(workers))?),
            _ => None,
        };
        let keys = key_names(&table, self.index.as_deref());
        Ok(Known { plan, local_index, keys })
    }

    fn facts(&self, table: &TableDescription) -> Option<TableFacts> {
        match &self.index {
            Some(index) => TableFacts::described_index(&self.table, table, index),
            None => Some(TableFacts::described(&self.table, table)),
        }
    }

    fn wish(&self, workers: u32) -> Wish {
        Wish {
            workers: Some(self.workers(workers)),
            segments: self.segments.map(NonZeroU32::get).or((self.workers(workers) == 1).then_some(1)),
            rate: self.rate,
            consistent: self.consistent,
            keep_expired: true,
            ..Wish::default()
        }
    }

    fn workers(&self, usual: u32) -> u32 {
        self.workers.map_or(usual, NonZeroU32::get)
    }

    /// The pages of all that, or what is left of them behind cursors; `workers` unless another number was asked for.
    pub(crate) fn pages(&self, client: &Client, known: &Known, workers: u32, cursors: Option<Vec<Cursor>>) -> Source {
        let workers = self.workers(workers);
        match &self.key_condition {
            Some(condition) => {
                let query = self.common(Query::new(client, &self.table, condition), known, cursors);
                Source::Query(if self.backward { query.backward() } else { query })
            }
            None => {
                let pinned = cursors.iter().flatten().next().map(Cursor::segments).filter(|_| self.segments.is_none());
                let planned = known.plan.as_ref().map(|plan| plan.segments);
                let usual = if workers == 1 { 1 } else { workers.saturating_mul(SEGMENTS_PER_WORKER) };
                let segments = self.segments.map(NonZeroU32::get).or(pinned).or(planned).unwrap_or(usual);
                let scan = Scan::new(client, &self.table).segments(segments).workers(workers as usize);
                Source::Scan(self.common(scan, known, cursors))
            }
        }
    }

    fn common<K>(&self, mut read: Read<K>, known: &Known, cursors: Option<Vec<Cursor>>) -> Read<K> {
        read = match &self.index {
            Some(index) if known.local_index => read.local_index(index),
            Some(index) => read.index(index),
            None => read,
        };
        read = if known.keys.is_empty() { read } else { read.keys(&known.keys) };
        read = self.filter.iter().fold(read, |read, filter| read.filter(filter));
        read = self.names.iter().flatten().fold(read, |read, (alias, name)| read.name(alias, name));
        read = self.values.iter().flatten().fold(read, |read, (name, value)| match dynamodb(value) {
            Some(value) => read.attribute_value(name, value),
            None => read.value(name, value),
        });
        read = read.project(&self.project);
        read = if self.consistent { read.consistent() } else { read };
        read = self.page_limit.iter().fold(read, |read, limit| read.page_limit(limit.get()));
        read = self.take.iter().fold(read, |read, items| read.take(*items));
        let rate = self.rate.or(known.plan.as_ref().and_then(|plan| plan.rate));
        read = rate.iter().fold(read, |read, rate| read.rate(*rate));
        cursors.into_iter().fold(read, Read::resume)
    }
}

/// A value that is written as DynamoDB writes it: an object whose only name is that of a type.
fn dynamodb(value: &Value) -> Option<AttributeValue> {
    const TYPES: [&str; 10] = ["S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"];
    let (name, _) = value.as_object().filter(|value| value.len() == 1)?.iter().next()?;
    TYPES.contains(&name.as_str()).then(|| serde_json::from_value(value.clone()).ok())?
}

/// A scan or a query.
pub(crate) enum Source {
    Scan(Scan),
    Query(Query),
}

impl Source {
    pub(crate) fn count_only(self) -> Self {
        match self {
            Self::Scan(scan) => Self::Scan(scan.count_only()),
            Self::Query(query) => Self::Query(query.count_only()),
        }
    }

    pub(crate) fn pages(self) -> Pages {
        match self {
            Self::Scan(scan) => scan.pages(),
            Self::Query(query) => query.pages(),
        }
    }
}

/// What was read, for programs.
pub(crate) fn counts(progress: &Progress) -> Value {
    json!({
        "items": progress.items, "scanned": progress.scanned, "units": progress.units, "pages": progress.pages,
        "throttled": progress.throttled, "segmentsDone": progress.segments_done, "segments": progress.segments,
    })
}

/// The same for a meter.
pub(crate) fn details(progress: &Progress) -> String {
    format!("{:.0} read units, {} of {} segments", progress.units, progress.segments_done, progress.segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_plain_or_those_of_dynamodb() {
        let typed = |text: &str| dynamodb(&serde_json::from_str(text).expect("JSON"));
        assert_eq!(typed(r#"{"N":"1.50"}"#), Some(AttributeValue::N("1.50".into())));
        assert_eq!(typed(r#"{"B":"AP8H"}"#), Some(AttributeValue::B(vec![0, 255, 7])));
        assert_eq!(typed(r#"{"SS":["a"]}"#), Some(AttributeValue::Ss(vec!["a".into()])));
        for plain in ["7", r#""S""#, r#"["S"]"#, r#"{"X":"a"}"#, r#"{"S":"a","N":"1"}"#, "{}", r#"{"S":1}"#] {
            assert_eq!(typed(plain), None, "{plain}");
        }
    }

    #[test]
    fn rates_are_more_than_nothing() {
        assert_eq!(positive("2.5"), Ok(2.5));
        for text in ["0", "-1", "NaN", "inf", "fast"] {
            assert!(positive(text).is_err(), "{text}");
        }
    }
}
