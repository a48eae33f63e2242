//! The kinds of targets, each with what it must be at the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use anabranch::{
    dispatch::Dispatcher,
    record::{NewAndOldImages, NewImage},
    replica::{Replica, Tombstones, is_tombstone},
    router::Router,
    search::{self, Search},
    sink::{
        index,
        table::{AttributeValue, Item, Memory, text},
    },
    view::{Contribution, Row, View},
};
use futures_util::future::BoxFuture;

use crate::{
    slow::{Slow, Way},
    source::{Source, number, value},
};

/// A kind of target.
pub(crate) trait Target: Send + Sync + Sized + 'static {
    /// Whether a worker that was given up may go on, and its requests arrive: whether versions outlive deletes.
    const OUTLIVES: bool;

    /// An empty one.
    fn new(source: &Arc<Source>) -> Self;

    /// The handlers of one invocation.
    fn dispatcher(&self, way: Way) -> Dispatcher;

    /// What a backfill does at its end if some of its pages were given up.
    fn sweep(&self, _: Way) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Fails unless it is what the table makes of it.
    fn check(&self, table: &BTreeMap<usize, u64>) -> BoxFuture<'_, ()>;
}

fn rows(table: &Memory) -> BTreeMap<usize, u64> {
    let rows = table.rows();
    rows.iter().filter(|row| !is_tombstone(row)).map(|row| (number(row), value(row))).collect()
}

/// A replica that deletes at once, and reads again what a snapshot has brought.
pub(crate) struct Deletes {
    source: Arc<Memory>,
    target: Arc<Memory>,
}

impl Deletes {
    fn replica(&self, way: Way) -> Replica<NewImage> {
        let source = Slow { inner: Arc::clone(&self.source), way: way.clone() };
        Replica::new(Slow { inner: Arc::clone(&self.target), way }).reread(source)
    }
}

impl Target for Deletes {
    const OUTLIVES: bool = false;

    fn new(source: &Arc<Source>) -> Self {
        Self { source: Arc::clone(&source.table), target: Arc::new(Memory::new("Target", ["PK"])) }
    }

    fn dispatcher(&self, way: Way) -> Dispatcher {
        Dispatcher::new(Router::<NewImage>::new().every(self.replica(way)))
    }

    fn sweep(&self, way: Way) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.replica(way).sweep(&["PK"], self.target.rows()).await.expect("nothing fails any more");
        })
    }

    fn check(&self, table: &BTreeMap<usize, u64>) -> BoxFuture<'_, ()> {
        assert_eq!(rows(&self.target), *table, "replica (left) = table (right)");
        Box::pin(async {})
    }
}

/// A replica that keeps tombstones.
pub(crate) struct Tombstoned(Arc<Memory>);

impl Target for Tombstoned {
    const OUTLIVES: bool = true;

    fn new(_: &Arc<Source>) -> Self {
        Self(Arc::new(Memory::new("Target", ["PK"])))
    }

    fn dispatcher(&self, way: Way) -> Dispatcher {
        let replica = Replica::new(Slow { inner: Arc::clone(&self.0), way });
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        Dispatcher::new(Router::<NewImage>::new().every(replica.tombstones(Tombstones::keep(week))))
    }

    fn check(&self, table: &BTreeMap<usize, u64>) -> BoxFuture<'_, ()> {
        assert_eq!(rows(&self.0), *table, "replica (left) = table (right)");
        Box::pin(async {})
    }
}

/// An item of the table.
#[derive(Debug, Clone, serde::Deserialize)]
pub(crate) struct Thing {
    #[serde(rename = "PK")]
    key: String,
    value: u64,
}

/// An aggregate by the last digit, and a projection of some of the items.
pub(crate) struct Views(Arc<Memory>);

const GROUPS: u64 = 3;

fn contributions(thing: &Thing) -> Vec<Contribution> {
    let group = Contribution::to("GROUP", (thing.value % GROUPS).to_string());
    let amount = thing.value as i64;
    vec![group.count("count").sum("sum", amount).min("least", amount).max("most", amount)]
}

fn projected(thing: &Thing) -> Vec<Row> {
    let row =
        |partition: String| Row::at(partition, &*thing.key).set("value", AttributeValue::N(thing.value.to_string()));
    let mut rows = vec![row(format!("BY#{}", thing.value % GROUPS))];
    rows.extend(thing.value.is_multiple_of(5).then(|| row("FIVES".to_owned())));
    rows
}

impl Views {
    fn aggregate(table: Slow<Memory>) -> View<Thing> {
        View::aggregate("groups", table, contributions)
    }

    async fn compare(&self, table: &BTreeMap<usize, u64>) {
        let reader = View::<Thing>::aggregate("groups", Arc::clone(&self.0), contributions).reader();
        for group in 0..GROUPS {
            let values: Vec<u64> = table.values().copied().filter(|value| value % GROUPS == group).collect();
            let row = reader.read("GROUP", &group.to_string()).await.expect("a readable view");
            let amount = |value: Option<&u64>| value.map(|value| AttributeValue::N(value.to_string()));
            let Some(row) = row else {
                assert!(values.is_empty(), "group {group} is not there, and should be of {values:?}");
                continue;
            };
            assert_eq!(row.number("count"), (values.len() as i64).into(), "count of group {group}");
            assert_eq!(row.number("sum"), (values.iter().sum::<u64>() as i64).into(), "sum of group {group}");
            assert_eq!(row.value("least").cloned(), amount(values.iter().min()), "least of group {group}");
            assert_eq!(row.value("most").cloned(), amount(values.iter().max()), "most of group {group}");
        }
    }
}

impl Target for Views {
    const OUTLIVES: bool = true;

    fn new(_: &Arc<Source>) -> Self {
        Self(Arc::new(Memory::new("Views", ["PK", "SK"])))
    }

    fn dispatcher(&self, way: Way) -> Dispatcher {
        let table = || Slow { inner: Arc::clone(&self.0), way: way.clone() };
        let projection = View::project("rows", table(), projected);
        Dispatcher::new(Router::<NewImage>::new().every(Self::aggregate(table())).every(projection))
    }

    fn check(&self, table: &BTreeMap<usize, u64>) -> BoxFuture<'_, ()> {
        let table = table.clone();
        Box::pin(async move {
            let stored = self.0.rows();
            let stored = stored.iter().filter(|row| row.contains_key("anabranchOwner"));
            let stored: BTreeSet<_> = stored.map(|row| (key_of(row), value(row))).collect();
            let rows = |(n, value): (&usize, &u64)| {
                let of = |partition: String| ([text(partition), text(n.to_string())].map(|text| string(&text)), *value);
                let fives = value.is_multiple_of(5).then(|| of("FIVES".to_owned()));
                [Some(of(format!("BY#{}", value % GROUPS))), fives]
            };
            assert_eq!(stored, table.iter().flat_map(rows).flatten().collect(), "projection (left) = table (right)");
            self.compare(&table).await;
        })
    }
}

fn key_of(row: &Item) -> [String; 2] {
    ["PK", "SK"].map(|name| string(&row[name]))
}

fn string(value: &AttributeValue) -> String {
    let AttributeValue::S(text) = value else { panic!("a string") };
    text.clone()
}

/// A search index that keeps tombstones; items move between its indexes.
pub(crate) struct Documents(Arc<index::Memory>);

#[derive(serde::Serialize)]
struct Found {
    key: String,
    value: u64,
}

fn index_of(value: u64) -> String {
    format!("things-{}", value % GROUPS)
}

impl Target for Documents {
    const OUTLIVES: bool = true;

    fn new(_: &Arc<Source>) -> Self {
        Self(Arc::new(index::Memory::new("search")))
    }

    fn dispatcher(&self, way: Way) -> Dispatcher {
        let server = Slow { inner: Arc::clone(&self.0), way };
        let found = |thing: &Thing| Some(Found { key: thing.key.clone(), value: thing.value });
        let search = Search::new(server, "things", found).tombstones(search::Tombstones::Keep);
        let search = search.index_by(|thing: &Thing| index_of(thing.value));
        Dispatcher::new(Router::<NewAndOldImages>::new().every(search))
    }

    fn check(&self, table: &BTreeMap<usize, u64>) -> BoxFuture<'_, ()> {
        let documents = self.0.documents().into_iter();
        let found: BTreeSet<_> = documents
            .map(|(index, document)| (index, document["key"].as_str().map(str::to_owned), document["value"].as_u64()))
            .collect();
        let wanted = table.iter().map(|(n, value)| (index_of(*value), Some(n.to_string()), Some(*value)));
        assert_eq!(found, wanted.collect(), "index (left) = table (right)");
        Box::pin(async {})
    }
}
