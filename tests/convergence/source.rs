//! The table, its stream, and its past as a backfill reads it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
};

use anabranch::{
    handler::{BoxError, Deadline},
    record::{
        Timestamp,
        wire::{EventWriter, ItemJson, RecordParts},
    },
    sink::table::{AttributeValue, Item, Memory, RowWrite, Table, item, text},
    source::backfill::{History, Portion},
};
use futures_util::{StreamExt, stream, stream::BoxStream};
use serde::{Deserialize, Serialize};

use crate::{seeds::Dice, slow::Pause};

/// How many items there may be.
pub(crate) const ITEMS: usize = 4;
/// How many shards the stream has, and segments the backfill: an item belongs to the one that its number says.
pub(crate) const SEGMENTS: usize = 2;

const LIVE: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/Rows/stream/2026-11-21T00:00:00.000";

/// A table of numbers under numbers, and its stream.
pub(crate) struct Source {
    pub(crate) table: Arc<Memory>,
    shards: [Mutex<Vec<String>>; SEGMENTS],
    clock: AtomicI64,
}

impl Source {
    /// A table with some items of which its stream knows nothing.
    pub(crate) async fn new(initial: impl IntoIterator<Item = usize>) -> Arc<Self> {
        let table = Arc::new(Memory::new("Rows", ["PK"]));
        let source = Self { table, shards: Default::default(), clock: AtomicI64::new(1) };
        for n in initial {
            source.write(n, Some(1_000 + n as u64)).await;
        }
        Arc::new(source)
    }

    /// A user writes an item, or deletes it; nothing happens if it is not there.
    pub(crate) async fn change(&self, n: usize, value: Option<u64>) {
        let old = self.rows().get(&n).copied();
        let name = match (old, value) {
            (None, None) => return,
            (None, Some(_)) => "INSERT",
            (Some(_), Some(_)) => "MODIFY",
            (Some(_), None) => "REMOVE",
        };
        self.write(n, value).await;
        let image = |name, value: Option<u64>| {
            value.map(|value| format!(r#""{name}":{},"#, image(n, value))).unwrap_or_default()
        };
        let (new, old) = (image("NewImage", value), image("OldImage", old));
        let sequence = self.clock.fetch_add(1, Relaxed);
        self.shard(n % SEGMENTS).push(format!(
            r#"{{"eventName":"{name}","eventSource":"aws:dynamodb","dynamodb":{{"Keys":{},{new}{old}"SequenceNumber":"{sequence}"}},"eventSourceARN":"{LIVE}"}}"#,
            keys(n)
        ));
    }

    async fn write(&self, n: usize, value: Option<u64>) {
        let write = match value {
            Some(value) => RowWrite::put(key(n), row(n, value)),
            None => RowWrite::delete(key(n)),
        };
        self.table.write_batch(&[write]).await.expect("a row that fits");
    }

    /// What the table holds.
    pub(crate) fn rows(&self) -> BTreeMap<usize, u64> {
        self.table.rows().iter().map(|row| (number(row), value(row))).collect()
    }

    /// How many records a shard has.
    pub(crate) fn records(&self, shard: usize) -> usize {
        self.shard(shard).len()
    }

    /// Some records of a shard as an event.
    pub(crate) fn event(&self, shard: usize, order: &[usize]) -> String {
        let records = self.shard(shard);
        let records: Vec<_> = order.iter().map(|n| records[*n].as_str()).collect();
        format!(r#"{{"Records":[{}]}}"#, records.join(","))
    }

    fn shard(&self, shard: usize) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.shards[shard].lock().expect("no panic under the lock")
    }
}

/// Pages of the table as they are when they are read, and some time later on their way.
pub(crate) struct Pages {
    pub(crate) source: Arc<Source>,
    pub(crate) pause: Pause,
    /// How many rows a page has at most.
    pub(crate) rows: usize,
}

/// Where a segment stands: behind an item.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) segment: usize,
    pub(crate) after: Option<usize>,
}

impl Pages {
    async fn portion(&self, place: Place) -> Portion<Place> {
        self.pause.wait().await;
        let read_at = Timestamp::from_nanos(self.source.clock.fetch_add(1, Relaxed) * 1_000);
        let rows: Vec<_> = (self.source.rows().into_iter())
            .filter(|(n, _)| n % SEGMENTS == place.segment && place.after.is_none_or(|after| *n > after))
            .take(self.rows)
            .collect();
        self.pause.wait().await;
        let mut event = EventWriter::new();
        for (n, value) in &rows {
            let (keys, image) = (ItemJson::from_json(keys(*n)), ItemJson::from_json(image(*n, *value)));
            event.push(&RecordParts::snapshot(keys, image, read_at));
        }
        let next = (rows.len() == self.rows).then(|| Place { after: rows.last().map(|(n, _)| *n), ..place });
        let records = rows.len() as u64;
        Portion { payload: event.finish(), records, scanned: records, expired: 0, units: None, sink_units: None, next }
    }
}

impl History for Pages {
    type Place = Place;

    fn open(&self, place: &Place, _: Deadline) -> BoxStream<'_, Result<Portion<Place>, BoxError>> {
        let portions = stream::unfold(Some(*place), move |place| async move {
            let portion = self.portion(place?).await;
            let next = portion.next;
            Some((Ok(portion), next))
        });
        portions.boxed()
    }
}

/// Users change some items, now and then.
pub(crate) async fn live(source: &Source, mut dice: Dice, changes: usize, pause: &Pause) {
    for _ in 0..changes {
        pause.wait().await;
        let value = dice.chance(65).then(|| dice.next() % 30);
        source.change(dice.below(ITEMS), value).await;
    }
}

fn key(n: usize) -> Item {
    item([("PK", text(n.to_string()))])
}

fn row(n: usize, value: u64) -> Item {
    item([("PK", text(n.to_string())), ("value", AttributeValue::N(value.to_string()))])
}

fn keys(n: usize) -> String {
    format!(r#"{{"PK":{{"S":"{n}"}}}}"#)
}

fn image(n: usize, value: u64) -> String {
    format!(r#"{{"PK":{{"S":"{n}"}},"value":{{"N":"{value}"}}}}"#)
}

/// The number of a row's item.
pub(crate) fn number(row: &Item) -> usize {
    let AttributeValue::S(key) = &row["PK"] else { panic!("a string key") };
    key.parse().expect("a small number")
}

/// The value of a row.
pub(crate) fn value(row: &Item) -> u64 {
    let AttributeValue::N(value) = &row["value"] else { panic!("a number") };
    value.parse().expect("a small number")
}
