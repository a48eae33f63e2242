//! Items that change their entity type, where two routes write one target: the remove from the one and the insert to the
//! other are handled side by side, and the end is the same whichever comes first.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use anabranch::{
    dispatch::{BatchReport, Dispatcher},
    handler::{Context, IntoHandler, Skip},
    idempotency::IdempotentExt,
    notify::Notify,
    record::{EventName, Facet, FromImage, Item, NewAndOldImages, NewImage, RawImage, Record, StreamView, Supplies},
    replica::{Replica, Tombstones, is_tombstone},
    router::Router,
    search::{self, Search, all_attributes},
    sink::{
        index, ledger,
        publisher::{self, Message},
        table::{AttributeValue, Memory, RowWrite, Table, item as item_of, text},
    },
    view::{Contribution, View},
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, ready},
};
use proptest::prelude::*;

/// The entity types that are routed, and one that is not.
const KINDS: [&str; 3] = ["PET", "DOG", "USER"];

/// The `n`-th change of the stream: an item that is of another kind from then on, or is gone.
fn change(n: usize, item: u8, old: Option<&str>, new: Option<&str>) -> String {
    let image = |name: &str, kind: Option<&str>| match kind {
        Some(kind) => format!(r#","{name}":{{"PK":{{"S":"item-{item}"}},"kind":{{"S":"{kind}"}}}}"#),
        None => String::new(),
    };
    let name = match (old, new) {
        (None, _) => "INSERT",
        (_, None) => "REMOVE",
        _ => "MODIFY",
    };
    format!(
        r#"{{"eventID":"e{n}","eventName":"{name}","dynamodb":{{"SequenceNumber":"{n}","Keys":{{"PK":{{"S":"item-{item}"}}}}{}{}}}}}"#,
        image("OldImage", old),
        image("NewImage", new),
    )
}

/// What one item went through.
fn life(kinds: &[Option<&str>]) -> Vec<String> {
    let before = [None].into_iter().chain(kinds.iter().copied());
    before.zip(kinds).enumerate().map(|(n, (old, new))| change(n + 1, 0, old, *new)).collect()
}

async fn deliver(dispatcher: &Dispatcher, records: &[String]) -> BatchReport {
    let batch = format!(r#"{{"Records":[{}]}}"#, records.join(","));
    let report = dispatcher.dispatch(batch, &Context::default()).await.expect("a stream event");
    assert_eq!(report.unfinished, None);
    report
}

/// How one handler is given twice; the first is asked first.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Routes {
    PetThenDog,
    DogThenPet,
    EveryThenPet,
    PetThenEvery,
    BothThenPet,
    PetThenBoth,
}

const ROUTES: [Routes; 6] = [
    Routes::PetThenDog,
    Routes::DogThenPet,
    Routes::EveryThenPet,
    Routes::PetThenEvery,
    Routes::BothThenPet,
    Routes::PetThenBoth,
];

impl Routes {
    /// Whether one of them is for items of this kind.
    fn want(self, kind: &str) -> bool {
        kind != "USER" || matches!(self, Self::EveryThenPet | Self::PetThenEvery)
    }
}

fn routed<T, W, M, H>(routes: Routes, handler: impl Fn() -> H) -> Dispatcher
where
    T: FromImage,
    W: StreamView,
    H: IntoHandler<T, W, M>,
    NewAndOldImages: Supplies<W>,
{
    let router: Router = Router::by_attribute("kind");
    let (one, other, both) = (handler(), handler(), ["PET", "DOG"]);
    let router = match routes {
        Routes::PetThenDog => router.route("PET", one).route("DOG", other),
        Routes::DogThenPet => router.route("DOG", one).route("PET", other),
        Routes::EveryThenPet => router.every(one).route("PET", other),
        Routes::PetThenEvery => router.route("PET", one).every(other),
        Routes::BothThenPet => router.route_all(both, one).route("PET", other),
        Routes::PetThenBoth => router.route("PET", one).route_all(both, other),
    };
    Dispatcher::new(router.ignore_others())
}

/// What a target holds: the kind of each item that it has.
type Held = BTreeMap<String, String>;

fn entry(row: &anabranch::sink::table::Item) -> (String, String) {
    let value = |name| match row.get(name) {
        Some(AttributeValue::S(value)) => value.clone(),
        other => panic!("{name} is {other:?}"),
    };
    (value("PK"), value("kind"))
}

/// A target, and a way to look at it.
struct Target {
    name: &'static str,
    dispatcher: Dispatcher,
    held: Box<dyn Fn() -> BoxFuture<'static, Held>>,
    /// Whether nothing that comes late can bring back what is gone.
    remembers: bool,
    /// The table whose stream it is, for those that ask it. All changes are late: they do not say when they happened.
    source: Arc<Memory>,
}

impl Target {
    /// An item is of a kind now, or gone.
    async fn is(&self, item: &str, kind: Option<&str>) {
        let key = item_of([("PK", text(item))]);
        let row = |kind| RowWrite::put(key.clone(), item_of([("PK", text(item)), ("kind", text(kind))]));
        let write = kind.map_or_else(|| RowWrite::delete(key.clone()), row);
        self.source.write_batch(&[write]).await.expect("a row that fits");
    }
}

/// How a replica knows of items that are gone.
#[derive(Clone, Copy, PartialEq)]
enum Knows {
    Nothing,
    Tombstones,
    TheSource,
}

fn replica(routes: Routes, knows: Knows) -> Target {
    let (table, source) = (Arc::new(Memory::new("T", ["PK"])), Arc::new(Memory::new("Source", ["PK"])));
    let replica: Replica<NewImage> = Replica::new(table.clone());
    let (name, replica) = match knows {
        Knows::Nothing => ("replica", replica),
        Knows::Tombstones => {
            ("replica with tombstones", replica.tombstones(Tombstones::keep(Duration::from_secs(9_999))))
        }
        Knows::TheSource => ("replica that asks", replica.reread(source.clone())),
    };
    let held = move || {
        let rows = table.rows();
        ready(rows.iter().filter(|row| !is_tombstone(row)).map(entry).collect()).boxed()
    };
    let remembers = knows != Knows::Nothing;
    Target { name, dispatcher: routed(routes, || replica.clone()), held: Box::new(held), remembers, source }
}

fn index(routes: Routes, tombstones: search::Tombstones) -> Target {
    let server = Arc::new(index::Memory::new("search"));
    let remembers = matches!(tombstones, search::Tombstones::Keep);
    let name = if remembers { "index with tombstones" } else { "index" };
    let search = || Search::new(server.clone(), "all", |item: &Item| all_attributes(item)).tombstones(tombstones);
    let dispatcher = routed(routes, search);
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let held = move || {
        let documents = server.documents().into_iter();
        ready(documents.map(|(_, document)| (text(&document["PK"]), text(&document["kind"]))).collect()).boxed()
    };
    Target { name, dispatcher, held: Box::new(held), remembers, source: nobody() }
}

/// Nobody asks it.
fn nobody() -> Arc<Memory> {
    Arc::new(Memory::new("Source", ["PK"]))
}

/// Each of its rows is one item's, by way of the view's sums.
fn view(routes: Routes) -> Target {
    let table = Arc::new(Memory::new("T", ["PK", "SK"]));
    let view: View<Item> = View::aggregate("v", table, |item: &Item| {
        let (key, kind) = entry(&item.0);
        vec![Contribution::to(key, kind).count("n")]
    });
    let reader = view.reader();
    let held = move || {
        let reader = reader.clone();
        let read = async move {
            let mut held = Held::new();
            for (item, kind) in (0..3).flat_map(|item| KINDS.map(|kind| (format!("item-{item}"), kind))) {
                let row = reader.read(&item, kind).await.expect("a row, or none");
                match row.map_or("0".to_owned(), |row| row.number("n").to_string()).as_str() {
                    "0" => {}
                    "1" => assert_eq!(held.insert(item, kind.to_owned()), None, "counted twice"),
                    other => panic!("{other} of {kind}"),
                }
            }
            held
        };
        read.boxed()
    };
    let dispatcher = routed(routes, || view.clone());
    Target { name: "view", dispatcher, held: Box::new(held), remembers: true, source: nobody() }
}

fn targets(routes: Routes) -> [Target; 6] {
    [
        replica(routes, Knows::Tombstones),
        replica(routes, Knows::TheSource),
        replica(routes, Knows::Nothing),
        index(routes, search::Tombstones::Keep),
        index(routes, search::Tombstones::None),
        view(routes),
    ]
}

#[tokio::test]
async fn an_item_that_changes_its_type_stays_in_the_target_of_both() {
    for routes in ROUTES {
        for target in targets(routes) {
            let life = life(&[Some("PET"), Some("DOG"), Some("PET"), Some("PET"), Some("DOG"), None]);
            for (n, expected) in ["PET", "DOG", "PET", "PET", "DOG", ""].into_iter().enumerate() {
                target.is("item-0", Some(expected).filter(|kind| !kind.is_empty())).await;
                for delivery in 0..2 {
                    deliver(&target.dispatcher, &life[n..=n]).await;
                    let expected = (!expected.is_empty()).then(|| ("item-0".to_owned(), expected.to_owned()));
                    let held = (target.held)().await;
                    assert_eq!(held, expected.into_iter().collect(), "{} {n} {delivery} {routes:?}", target.name);
                }
            }
        }
    }
}

#[derive(Debug, Clone)]
struct History {
    /// An item, and its kind from then on.
    steps: Vec<(u8, Option<&'static str>)>,
    size: usize,
    /// After which batch which part of the stream comes once more.
    replays: Vec<(usize, usize)>,
    routes: Routes,
}

fn history() -> impl Strategy<Value = History> {
    let kind = proptest::option::weighted(0.8, prop::sample::select(KINDS.to_vec()));
    let steps = prop::collection::vec((0_u8..3, kind), 1..30);
    let replays = prop::collection::vec((0_usize..30, 0_usize..30), 0..4);
    (steps, 1_usize..8, replays, prop::sample::select(ROUTES.to_vec()))
        .prop_map(|(steps, size, replays, routes)| History { steps, size, replays, routes })
}

async fn play(history: &History, target: Target) -> Result<(), TestCaseError> {
    let (mut table, mut records) = (BTreeMap::new(), Vec::new());
    for (item, new) in &history.steps {
        let old: Option<&str> = table.remove(item);
        if let Some(new) = new {
            table.insert(*item, *new);
        }
        if old.is_some() || new.is_some() {
            records.push(change(records.len() + 1, *item, old, *new));
        }
    }
    for (item, kind) in &table {
        target.is(&format!("item-{item}"), Some(kind)).await;
    }
    for (batch, from) in (0..records.len()).step_by(history.size).enumerate() {
        let end = records.len().min(from + history.size);
        deliver(&target.dispatcher, &records[from..end]).await;
        for (_, start) in history.replays.iter().filter(|(after, start)| *after == batch && *start < end) {
            // What remembers nothing that is gone has only the last batch again.
            let start = if target.remembers { *start } else { from };
            deliver(&target.dispatcher, &records[start..end]).await;
        }
    }
    let expected = table.into_iter().filter(|(_, kind)| history.routes.want(kind));
    let expected: Held = expected.map(|(item, kind)| (format!("item-{item}"), kind.to_owned())).collect();
    prop_assert_eq!((target.held)().await, expected, "{} {:?}", target.name, history.routes);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_of_types_ends_as_the_table_does(history in history()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        for target in targets(history.routes) {
            runtime.block_on(play(&history, target))?;
        }
    }
}

/// Nothing guards a plain replica, so its two types have one route: what changes from one to the other stays whole.
#[tokio::test]
async fn types_of_one_route_see_the_change_as_it_is() {
    let (table, seen) = (Arc::new(Memory::new("T", ["PK"])), Arc::new(Mutex::new(Vec::new())));
    let noted = seen.clone();
    let note = move |record: Record<RawImage>| {
        noted.lock().expect("not poisoned").push((record.event_name(), record.facet()));
        std::future::ready(())
    };
    let router: Router = Router::by_attribute("kind");
    let router = router.route_all(["PET", "DOG"], Replica::plain(table.clone())).route_all(["DOG", "PET"], note);
    assert_eq!(router.filters()[0], r#"{"dynamodb":{"NewImage":{"kind":{"S":["DOG","PET"]}}}}"#);
    let dispatcher = Dispatcher::new(router.ignore_others());
    for (record, rows) in life(&[Some("PET"), Some("DOG"), Some("USER")]).into_iter().zip([1, 1, 0]) {
        deliver(&dispatcher, &[record]).await;
        assert_eq!(table.rows().len(), rows);
    }
    let modified = (EventName::Modify, Facet::Both);
    assert_eq!(
        *seen.lock().expect("not poisoned"),
        [(EventName::Insert, Facet::Whole), modified, (EventName::Remove, Facet::Left)]
    );
}

#[tokio::test]
async fn an_effect_on_either_side_happens_once() {
    let (seen, ledger) = (Arc::new(Mutex::new(Vec::new())), Arc::new(ledger::Memory::default()));
    let note = || {
        let seen = seen.clone();
        let note = move |record: Record<RawImage>| {
            seen.lock().expect("not poisoned").push(record.event_name());
            std::future::ready(())
        };
        note.idempotent(ledger.clone())
    };
    let dispatcher = routed(Routes::PetThenDog, note);
    let life = life(&[Some("PET"), Some("DOG")]);
    deliver(&dispatcher, &life).await;
    let again = deliver(&dispatcher, &life).await;
    assert_eq!(again.skipped.get(&Skip::Duplicate), Some(&2));
    assert_eq!(*seen.lock().expect("not poisoned"), [EventName::Insert, EventName::Remove, EventName::Insert]);
}

/// The two sides are two pieces of news, even if the words are the same.
#[tokio::test]
async fn a_topic_takes_neither_side_for_a_repetition_of_the_other() {
    let topic = Arc::new(publisher::Memory::default());
    let notify = || Notify::new(topic.clone(), |_: &Record<Item>| Message::new("something has changed"));
    let dispatcher = routed(Routes::PetThenDog, notify);
    deliver(&dispatcher, &life(&[Some("PET"), Some("DOG")])).await;
    let ids: BTreeSet<_> = topic.messages().iter().map(|message| message.deduplication().map(str::to_owned)).collect();
    assert_eq!((topic.messages().len(), ids.len()), (3, 3), "{ids:?}");
}
