//! Two tables, each the replica of the other: what the one side's users do arrives at the other, and nothing comes back.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use anabranch::{
    dispatch::Dispatcher,
    handler::Context,
    record::{
        NewAndOldImages, Timestamp,
        wire::{EventWriter, ItemJson, RecordParts},
    },
    replica::{Replica, TOMBSTONE_ATTRIBUTE, Tombstones, is_tombstone},
    router::Router,
    sink::table::{
        AttributeValue, DEFAULT_VERSION_ATTRIBUTE, Fault, Guard, Item, Memory, RowWrite, Table, TableError, Written,
        item, text,
    },
};
use futures_util::future::BoxFuture;

use crate::{Dice, each_seed, staged::done};

const HISTORIES: u64 = 2_000;
const ITEMS: usize = 3;

/// A table with a stream of its own.
struct Streamed {
    table: Memory,
    arn: String,
    stream: Mutex<Vec<RecordParts<'static>>>,
    faults: Mutex<Dice>,
    faulty: bool,
}

impl Streamed {
    fn new(name: &str, seed: u64, faulty: bool) -> Arc<Self> {
        Arc::new(Self {
            table: Memory::new(name, ["PK"]),
            arn: format!("arn:aws:dynamodb:eu-west-1:123456789012:table/{name}/stream/2026-11-21T00:00:00.000"),
            stream: Mutex::default(),
            faults: Mutex::new(Dice::new(seed)),
            faulty,
        })
    }

    fn stored(&self, key: &Item) -> Option<Item> {
        done(self.table.read(key.clone())).expect("a readable table")
    }

    /// Changes a row, and tells the stream if it is another one afterwards.
    fn change<R>(&self, key: &Item, change: impl FnOnce(&Memory) -> R) -> R {
        let before = self.stored(key);
        let result = change(&self.table);
        let after = self.stored(key);
        if before != after {
            let mut stream = self.stream.lock().expect("no panic under the lock");
            let name = match (&before, &after) {
                (None, _) => "INSERT",
                (_, None) => "REMOVE",
                _ => "MODIFY",
            };
            let record = RecordParts {
                event_name: Some(name.into()),
                source_arn: Some(self.arn.clone().into()),
                keys: Some(ItemJson::from(key)),
                new_image: after.map(ItemJson::from),
                old_image: before.map(ItemJson::from),
                sequence_number: Some((stream.len() + 1).to_string().into()),
                ..RecordParts::default()
            };
            stream.push(record);
        }
        result
    }

    /// A user writes a row, over what is there.
    fn put(&self, n: usize, value: u64) {
        let key = key(n);
        let mut row = self.stored(&key).filter(|row| !is_tombstone(row)).unwrap_or_else(|| key.clone());
        row.insert("value".to_owned(), AttributeValue::N(value.to_string()));
        self.plainly(&key, RowWrite::put(key.clone(), row));
    }

    /// A user deletes a row, if there is one.
    fn delete(&self, n: usize) {
        let key = key(n);
        if self.stored(&key).is_some_and(|row| !is_tombstone(&row)) {
            self.plainly(&key, RowWrite::delete(key.clone()));
        }
    }

    /// The time to live takes a tombstone away.
    fn expire(&self, n: usize) {
        let key = key(n);
        if self.stored(&key).is_some_and(|row| is_tombstone(&row)) {
            self.plainly(&key, RowWrite::delete(key.clone()));
        }
    }

    fn plainly(&self, key: &Item, write: RowWrite) {
        self.change(key, |table| done(table.write_batch(&[write]))).expect("a row that fits");
    }

    /// The table as its users see it.
    fn rows(&self) -> BTreeMap<usize, AttributeValue> {
        let rows = self.table.rows().into_iter().filter(|row| !is_tombstone(row));
        let number = |row: &Item| (0..ITEMS).find(|n| row["PK"] == key(*n)["PK"]).expect("a known item");
        rows.map(|row| (number(&row), row["value"].clone())).collect()
    }

    fn records(&self) -> usize {
        self.stream.lock().expect("no panic under the lock").len()
    }

    fn fault(&self) -> Fault {
        let mut dice = self.faults.lock().expect("no panic under the lock");
        match dice.below(10) {
            0 if self.faulty => Fault::Before(self.table.failure()),
            1 if self.faulty => Fault::After(self.table.failure()),
            _ => Fault::None,
        }
    }
}

impl Table for Streamed {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn write_guarded(&self, write: RowWrite, guard: Guard) -> BoxFuture<'_, Result<Written, TableError>> {
        Box::pin(async move {
            let fault = self.fault();
            if let Fault::Before(error) = fault {
                return Err(error);
            }
            let written = self.change(&write.key().clone(), |table| done(table.write_guarded(write, guard)));
            if let Fault::After(error) = fault { Err(error) } else { written }
        })
    }

    fn write_batch<'a>(&'a self, writes: &'a [RowWrite]) -> BoxFuture<'a, Result<Vec<usize>, TableError>> {
        self.table.write_batch(writes)
    }

    fn read(&self, key: Item) -> BoxFuture<'_, Result<Option<Item>, TableError>> {
        self.table.read(key)
    }
}

fn key(n: usize) -> Item {
    item([("PK", text(n.to_string()))])
}

/// The way from one table to the other.
struct Way {
    from: Arc<Streamed>,
    dispatcher: Dispatcher,
    checkpoint: usize,
}

impl Way {
    fn new(from: &Arc<Streamed>, to: &Arc<Streamed>) -> Self {
        let replica = Replica::two_way(Arc::clone(to), Tombstones::keep(Duration::from_secs(7 * 24 * 60 * 60)));
        let dispatcher = Dispatcher::new(Router::<NewAndOldImages>::new().every(replica));
        Self { from: Arc::clone(from), dispatcher, checkpoint: 0 }
    }

    /// Delivers up to `size` records; answers with what was skipped and applied.
    fn deliver(&mut self, size: usize) {
        let mut event = EventWriter::new();
        let end = {
            let stream = self.from.stream.lock().expect("no panic under the lock");
            let end = stream.len().min(self.checkpoint + size);
            stream[self.checkpoint..end].iter().for_each(|record| event.push(record));
            end
        };
        let report = done(self.dispatcher.dispatch(event.finish(), &Context::default())).expect("a stream event");
        self.checkpoint = report.unfinished.map_or(end, |unfinished| self.checkpoint + unfinished.position);
    }

    fn is_done(&self) -> bool {
        self.checkpoint == self.from.records()
    }
}

fn settle(ways: &mut [Way; 2], dice: &mut Dice) {
    for round in 0.. {
        if ways.iter().all(Way::is_done) {
            return;
        }
        assert!(round < 1_000, "what is written on one side is written on the other, and back, for ever");
        ways[dice.below(2)].deliver(1 + dice.below(5));
    }
}

/// Users of both sides change whatever they like; an item is left alone while its last change is on its way.
fn play(seed: u64) {
    let mut dice = Dice::new(seed);
    let faulty = dice.chance(70);
    let tables = ["Here", "There"].map(|name| Streamed::new(name, dice.next(), faulty));
    let mut ways = [Way::new(&tables[0], &tables[1]), Way::new(&tables[1], &tables[0])];
    let mut expected = BTreeMap::new();
    for _ in 0..2 + dice.below(10) {
        let mut untouched: Vec<usize> = (0..ITEMS).collect();
        while dice.chance(70) && !untouched.is_empty() {
            let n = untouched.swap_remove(dice.below(untouched.len()));
            let table = &tables[dice.below(2)];
            for _ in 0..1 + dice.below(3) {
                let value = dice.next() % 1_000;
                match dice.below(6) {
                    0 => table.expire(n),
                    1 | 2 => {
                        table.delete(n);
                        expected.remove(&n);
                    }
                    _ => {
                        table.put(n, value);
                        expected.insert(n, AttributeValue::N(value.to_string()));
                    }
                }
            }
        }
        settle(&mut ways, &mut dice);
    }
    assert_eq!([&tables[0].rows(), &tables[1].rows()], [&expected, &expected]);
}

#[test]
fn both_sides_end_alike() {
    each_seed(HISTORIES, play);
}

#[test]
fn nothing_comes_back() {
    let tables = ["Here", "There"].map(|name| Streamed::new(name, 0, false));
    let mut ways = [Way::new(&tables[0], &tables[1]), Way::new(&tables[1], &tables[0])];
    let mut dice = Dice::new(0);
    let mut after = |change: &dyn Fn()| {
        change();
        settle(&mut ways, &mut dice);
        tables.each_ref().map(|table| table.records())
    };
    assert_eq!(after(&|| tables[0].put(0, 1)), [1, 1], "there, and not back");
    assert_eq!(after(&|| tables[1].put(0, 2)), [2, 2], "changed there, here again");
    assert_eq!(after(&|| tables[0].delete(0)), [3, 3], "gone here, a tombstone there");
    assert!(is_tombstone(&tables[1].stored(&key(0)).expect("a tombstone")));
    assert_eq!(after(&|| tables[1].expire(0)), [3, 4], "the time to live concerns nobody");
    assert_eq!(after(&|| tables[1].put(0, 3)), [4, 5], "a new life");
    assert_eq!(tables[0].rows(), tables[1].rows());
}

/// A scan of one side finds rows that came from the other: they are not sent back as if they had been born here.
#[test]
fn rows_of_the_other_side_are_no_snapshot_of_this_one() {
    let tables = ["Here", "There"].map(|name| Streamed::new(name, 0, false));
    let way = Way::new(&tables[0], &tables[1]);
    let row = |n: usize, more: &[(&str, AttributeValue)]| {
        let mut row = key(n);
        row.insert("value".to_owned(), AttributeValue::N(n.to_string()));
        row.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        RecordParts::snapshot(ItemJson::from(key(n)), ItemJson::from(row), Timestamp::from_nanos(5_000))
    };
    let stamped = (DEFAULT_VERSION_ATTRIBUTE, text("0000000000#t##1"));
    let mut event = EventWriter::new();
    event.push(&row(0, &[]));
    event.push(&row(1, std::slice::from_ref(&stamped)));
    event.push(&row(2, &[stamped, (TOMBSTONE_ATTRIBUTE, AttributeValue::N("1".into()))]));
    let report = done(way.dispatcher.dispatch(event.finish(), &Context::default())).expect("an event");
    assert_eq!((report.applied, report.skipped_total()), (1, 2));
    assert_eq!(tables[1].rows().keys().copied().collect::<Vec<_>>(), [0]);
}
