//! A small table, what its stream says of it, and what its views must come to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anabranch::{
    dispatch::{BatchReport, Dispatcher},
    handler::Context,
    record::NewImage,
    router::Router,
    sink::table::{AttributeValue, Decimal, Memory, TransactTable, text},
    view::{Contribution, Row, View, ViewReader},
};
use serde_json::{Value, json};

/// An item of the small table.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub(crate) struct Thing {
    #[serde(rename = "PK")]
    pub(crate) key: String,
    pub(crate) group: u8,
    pub(crate) amount: i64,
    pub(crate) stamp: u8,
}

/// What an item is from a change on; none if it is gone.
pub(crate) type State = Option<(u8, i64, u8)>;

/// One change: an item, and what it is from then on.
pub(crate) type Step = (u8, State);

/// The table as it was before the stream began, and the changes since.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    pub(crate) initial: BTreeMap<u8, (u8, i64, u8)>,
    pub(crate) steps: Vec<Step>,
}

impl Source {
    /// The table after the first `n` changes.
    pub(crate) fn table(&self, n: usize) -> BTreeMap<u8, (u8, i64, u8)> {
        let mut table = self.initial.clone();
        for (item, state) in &self.steps[..n] {
            match state {
                Some(state) => _ = table.insert(*item, *state),
                None => _ = table.remove(item),
            }
        }
        table
    }

    /// The stream: one record for each change.
    pub(crate) fn stream(&self) -> Vec<Value> {
        let mut there: BTreeSet<u8> = self.initial.keys().copied().collect();
        let mut name = |item: u8, state: &State| match state {
            None => {
                there.remove(&item);
                "REMOVE"
            }
            Some(_) if there.insert(item) => "INSERT",
            Some(_) => "MODIFY",
        };
        let steps = self.steps.iter().enumerate();
        steps.map(|(n, (item, state))| record(name(*item, state), n, *item, *state, LIVE)).collect()
    }

    /// What a scan finds after the first `n` changes: rows older than everything in the stream.
    pub(crate) fn snapshot(&self, n: usize) -> Vec<Value> {
        let row = |(item, state)| {
            let mut row = record("INSERT", n, item, Some(state), TABLE);
            row["eventSource"] = json!("anabranch:snapshot");
            row
        };
        self.table(n).into_iter().map(row).collect()
    }
}

const LIVE: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/Things/stream/2026-11-21T00:00:00.000";
const TABLE: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/Things";

pub(crate) fn record(name: &str, n: usize, item: u8, state: State, arn: &str) -> Value {
    let key = json!({"S": format!("item-{item}")});
    let mut body = json!({"Keys": {"PK": key}, "SequenceNumber": format!("{:021}", n + 1)});
    if let Some((group, amount, stamp)) = state {
        body["NewImage"] = json!({
            "PK": key, "group": {"N": group.to_string()}, "amount": {"N": amount.to_string()}, "stamp": {"N": stamp.to_string()}
        });
    }
    json!({"eventID": format!("{n:032x}"), "eventName": name, "dynamodb": body, "eventSourceARN": arn})
}

/// What an item has in the aggregate: its group, and the total of all odd amounts.
pub(crate) fn contributions(thing: &Thing) -> Vec<Contribution> {
    assert!(thing.group != 99, "planned panic");
    let group = Contribution::to("GROUP", thing.group.to_string())
        .count("count")
        .sum("sum", thing.amount)
        .average("mean", thing.amount)
        .min("least", thing.amount)
        .max("most", thing.amount)
        .last("last", format!("{:03}", thing.stamp), text(&thing.key))
        .label("board", "GROUPS");
    let total = Contribution::to("TOTAL", "ODD").sum("sum", thing.amount);
    if thing.amount % 2 == 0 { vec![group] } else { vec![group, total] }
}

/// The rows of an item in the projection: under its group, and under another key if its amount says so.
pub(crate) fn rows(thing: &Thing) -> Vec<Row> {
    let row =
        |partition: String| Row::at(partition, &*thing.key).set("amount", AttributeValue::N(thing.amount.to_string()));
    let mut rows = vec![row(format!("BY#{}", thing.group))];
    rows.extend((thing.amount % 3 == 0).then(|| row("THIRDS".to_owned())));
    rows
}

/// What the aggregate must say of a group.
#[derive(Debug, PartialEq)]
pub(crate) struct Group {
    items: Decimal,
    numbers: BTreeMap<String, Decimal>,
    values: Vec<Option<AttributeValue>>,
}

/// The aggregate, computed from the table alone. Sums of nothing are left out.
pub(crate) fn expected_groups(table: &BTreeMap<u8, (u8, i64, u8)>) -> BTreeMap<String, Group> {
    let mut groups: BTreeMap<String, Vec<(u8, i64, u8)>> = BTreeMap::new();
    for (item, (group, amount, stamp)) in table {
        groups.entry(group.to_string()).or_default().push((*item, *amount, *stamp));
    }
    let number = |amount: Option<i64>| amount.map(|amount| AttributeValue::N(amount.to_string()));
    let group = |items: Vec<(u8, i64, u8)>| {
        let (count, sum) = (items.len() as i64, items.iter().map(|item| item.1).sum::<i64>());
        let last = items.iter().max_by_key(|(item, _, stamp)| (*stamp, format!("item-{item}")));
        Group {
            items: count.into(),
            numbers: nonzero([("count", count), ("sum", sum), ("meanSum", sum), ("meanCount", count)]),
            values: vec![
                number(items.iter().map(|item| item.1).min()),
                number(items.iter().map(|item| item.1).max()),
                last.map(|(item, ..)| text(format!("item-{item}"))),
                Some(text("GROUPS")),
            ],
        }
    };
    groups.into_iter().map(|(name, items)| (name, group(items))).collect()
}

fn nonzero<const N: usize>(numbers: [(&str, i64); N]) -> BTreeMap<String, Decimal> {
    let numbers = numbers.into_iter().filter(|(_, number)| *number != 0);
    numbers.map(|(name, number)| (name.to_owned(), number.into())).collect()
}

/// The aggregate as it is stored.
pub(crate) async fn stored_groups(reader: &ViewReader, groups: u8) -> BTreeMap<String, Group> {
    let mut stored = BTreeMap::new();
    for name in (0..groups).map(|group| group.to_string()) {
        let Some(row) = reader.read("GROUP", &name).await.expect("a readable view") else { continue };
        let mut numbers = row.numbers().clone();
        numbers.retain(|_, number| !number.is_zero());
        let values = ["least", "most", "last", "board"].map(|name| row.value(name).cloned()).into();
        stored.insert(name, Group { items: row.items(), numbers, values });
    }
    stored
}

/// The rows of the projection, computed from the table alone.
pub(crate) fn expected_rows(table: &BTreeMap<u8, (u8, i64, u8)>) -> BTreeSet<(String, String, i64)> {
    let thing = |(item, (group, amount, _)): (&u8, &(u8, i64, u8))| {
        let key = format!("item-{item}");
        let thirds = (amount % 3 == 0).then(|| ("THIRDS".to_owned(), key.clone(), *amount));
        [Some((format!("BY#{group}"), key, *amount)), thirds]
    };
    table.iter().flat_map(thing).flatten().collect()
}

/// The rows of the projection as they are stored.
pub(crate) fn stored_rows(memory: &Memory) -> BTreeSet<(String, String, i64)> {
    let rows = memory.rows();
    let rows = rows.iter().filter(|row| row.contains_key("anabranchOwner"));
    rows.map(|row| (string(&row["PK"]), string(&row["SK"]), number(&row["amount"]))).collect()
}

/// How many entries there are for minima, maxima and last values.
pub(crate) fn entries(memory: &Memory) -> usize {
    memory.rows().iter().filter(|row| row.contains_key("anabranchValue")).count()
}

pub(crate) fn string(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => text.clone(),
        _ => panic!("a string"),
    }
}

pub(crate) fn number(value: &AttributeValue) -> i64 {
    match value {
        AttributeValue::N(number) => number.parse().expect("a small number"),
        _ => panic!("a number"),
    }
}

pub(crate) fn memory() -> Memory {
    Memory::new("Views", ["PK", "SK"])
}

pub(crate) fn aggregate(table: impl TransactTable) -> View<Thing> {
    View::aggregate("groups", table, contributions)
}

pub(crate) fn projection(table: impl TransactTable) -> View<Thing> {
    View::project("rows", table, rows)
}

pub(crate) fn dispatcher(view: View<Thing>) -> Dispatcher {
    Dispatcher::new(Router::<NewImage>::new().every(view))
}

pub(crate) fn both(table: &Arc<impl TransactTable>, shards: u16) -> Dispatcher {
    let aggregate = aggregate(Arc::clone(table)).shards(shards);
    Dispatcher::new(Router::<NewImage>::new().every(aggregate).every(projection(Arc::clone(table))))
}

/// Delivers records once, and answers with what came of them.
pub(crate) async fn dispatch(dispatcher: &Dispatcher, records: &[Value]) -> BatchReport {
    let payload = json!({ "Records": records }).to_string().into_bytes();
    dispatcher.dispatch(payload, &Context::default()).await.expect("a stream event")
}

/// Delivers records in batches of these sizes, over and over, as Lambda does: from the first unfinished one on.
pub(crate) async fn drain(dispatcher: &Dispatcher, records: &[Value], sizes: &[usize]) {
    let mut from = 0;
    for size in sizes.iter().cycle().take(2_000) {
        if from == records.len() {
            return;
        }
        let batch = &records[from..records.len().min(from + size)];
        let report = dispatch(dispatcher, batch).await;
        from += report.unfinished.map_or(batch.len(), |unfinished| unfinished.position);
    }
    panic!("no progress at {from} of {}", records.len());
}
