//! A table, its stream, workers of the stream, and a backfill beside them.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use anabranch::{
    dispatch::{BatchReport, Dispatcher},
    handler::{Context, Handler, HandlerExt},
    record::{self, NewAndOldImages, NewImage},
    replica::{Replica, Sweep, Tombstones, is_tombstone},
    router::Router,
    sink::table::{AttributeValue, Item, Memory, RowWrite, Table, item, text},
};

use crate::staged::{Fate, Fates, Gate, Staged, done, drive};

const ITEMS: usize = 3;
const LIVE: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/Source/stream/2026-11-21T00:00:00.000";

/// When a change happened, as one that nothing holds up says; without it is late.
const TIMELY: &str = r#""ApproximateCreationDateTime":9000000000,"#;

/// Of what kind the replicas of a history are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// Tombstones, or deletes at once and snapshots that are read again.
    pub(crate) tombstones: bool,
    pub(crate) takes: Takes,
    /// One target, or two.
    pub(crate) targets: usize,
}

/// Which items the replicas are to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    All,
    /// Those that their transformation wants.
    Wanted,
    /// Those of the entity type that is routed to them.
    Routed,
}

type Work = Pin<Box<dyn Future<Output = BatchReport> + Send>>;

/// An invocation that stands still: it may go on at any time, or never.
pub(crate) struct Worker {
    work: Work,
    gate: Gate,
    page: bool,
    /// Records that are handed over until they are handled.
    late: Vec<String>,
}

/// Rows as a scan has found them.
#[derive(Debug, Clone)]
struct Page {
    rows: Vec<(usize, u64)>,
    read_at: usize,
}

/// The table, its stream and its replicas.
pub(crate) struct World {
    kind: Kind,
    source: Arc<Memory>,
    targets: Vec<Arc<Memory>>,
    fates: Fates,
    /// Records of the stream.
    stream: Vec<String>,
    /// Where the event source mapping stands.
    checkpoint: usize,
    now: usize,
    pages: Vec<Page>,
    standing: Vec<Worker>,
    /// Whether a page was begun and never finished: what was read again may be another.
    given_up: bool,
    /// Whether the targets are new, and wait for a page with all that the stream will not say again.
    filling: bool,
}

impl World {
    /// A table with some items of which its stream knows nothing.
    pub(crate) fn new(kind: Kind, initial: &[usize], fates: impl FnMut() -> Fate + Send + 'static) -> Self {
        let target = |name| Arc::new(Memory::new(name, ["PK"]));
        let world = Self {
            kind,
            source: Arc::new(Memory::new("Source", ["PK"])),
            targets: ["First", "Second"].map(target).into_iter().take(kind.targets).collect(),
            fates: Arc::new(Mutex::new(fates)),
            stream: Vec::new(),
            checkpoint: 0,
            now: 0,
            pages: Vec::new(),
            standing: Vec::new(),
            given_up: false,
            filling: false,
        };
        initial.iter().for_each(|n| world.put(*n, 1_000 + *n as u64));
        world
    }

    fn put(&self, n: usize, value: u64) {
        let row = row(n, value);
        done(self.source.write_batch(&[RowWrite::put(key(n), row)])).expect("a row that fits");
    }

    /// A user writes an item, or deletes it; nothing happens if it is not there.
    pub(crate) fn change(&mut self, n: usize, value: Option<u64>) {
        let old = rows(&self.source).get(&n).copied();
        let name = match (old, value) {
            (None, None) => return,
            (None, Some(_)) => "INSERT",
            (Some(_), Some(_)) => "MODIFY",
            (Some(_), None) => "REMOVE",
        };
        match value {
            Some(value) => self.put(n, value),
            None => _ = done(self.source.write_batch(&[RowWrite::delete(key(n))])).expect("a key that fits"),
        }
        let image = |name, value: Option<u64>| value.map(|value| format!(r#""{name}":{},"#, image(n, value)));
        let images = [image("OldImage", old), image("NewImage", value)].map(Option::unwrap_or_default).concat();
        let sequence = self.stream.len() + 1;
        self.stream.push(format!(
            r#"{{"eventName":"{name}","eventSource":"aws:dynamodb","dynamodb":{{{TIMELY}"Keys":{{"PK":{{"S":"{n}"}}}},{images}"SequenceNumber":"{sequence}"}},"eventSourceARN":"{LIVE}"}}"#
        ));
    }

    /// What the table's users have changed so far.
    pub(crate) fn changes(&self) -> usize {
        self.stream.len()
    }

    pub(crate) fn is_up_to_date(&self) -> bool {
        self.checkpoint == self.stream.len() && self.pages.is_empty()
    }

    /// Lambda delivers the next `size` records, those at `twice` two times. One that still stands is timed out.
    pub(crate) fn deliver(&mut self, size: usize, twice: Option<usize>) {
        let (from, end) = (self.checkpoint, self.stream.len().min(self.checkpoint + size));
        let mut order: Vec<usize> = (from..end).collect();
        order.extend(twice.map(|n| from + n % size).filter(|n| *n < end));
        if let Some(report) = self.run(&self.batch(&order), false) {
            self.checkpoint = report.unfinished.map_or(end, |unfinished| order[unfinished.position].min(end));
        }
    }

    /// Records that were delivered before come once more: to a late worker, or, where that would do harm, from there on.
    pub(crate) fn replay(&mut self, from: usize, size: usize) {
        let from = from % (self.checkpoint + 1);
        if self.kind.tombstones {
            let order: Vec<usize> = (from..self.checkpoint.min(from + size)).collect();
            self.run(&self.batch(&order), false);
        } else {
            self.checkpoint = from;
        }
    }

    /// The replicas are made anew: from now on they get what the stream says, and what a scan finds behind that.
    ///
    /// Those with tombstones ask nobody, so that what is redriven from before would stand above it.
    pub(crate) fn begin_anew(&mut self) {
        if self.kind.tombstones {
            return;
        }
        let target = |name| Arc::new(Memory::new(name, ["PK"]));
        self.targets = ["First", "Second"].map(target).into_iter().take(self.kind.targets).collect();
        self.standing.clear();
        self.pages.clear();
        self.checkpoint = self.stream.len();
        self.filling = true;
        self.read_page();
    }

    /// Records that were given up are handed over again, without those behind them, until they are handled: a redrive.
    pub(crate) fn redrive(&mut self, from: usize, size: usize) {
        self.filling &= !self.pages.is_empty();
        if self.filling {
            return;
        }
        let from = from % (self.checkpoint + 1);
        let order: Vec<usize> = (from..self.checkpoint.min(from + size)).collect();
        let late: Vec<_> = self.batch(&order).iter().map(|record| record.replace(TIMELY, "")).collect();
        self.hand_over(late);
    }

    /// Until they are handled: once more when one that stands still has gone on and failed, or is gone.
    fn hand_over(&mut self, late: Vec<String>) {
        loop {
            let gate = Gate::default();
            let mut work = self.work(&late, &gate);
            match drive(work.as_mut()) {
                Some(report) if report.unfinished.is_none() => break,
                Some(_) => {}
                None => {
                    self.standing.push(Worker { work, gate, page: false, late });
                    break;
                }
            }
        }
    }

    /// A scan reads the table as it is now.
    pub(crate) fn read_page(&mut self) {
        self.now += 1;
        self.pages.push(Page { rows: rows(&self.source).into_iter().collect(), read_at: self.now });
    }

    /// Rows that were read at some time reach the replicas; if that fails, they come once more, or are read once more.
    pub(crate) fn apply_page(&mut self, n: usize, again: bool) {
        if self.pages.is_empty() {
            return;
        }
        let page = self.pages.swap_remove(n % self.pages.len());
        let payload: Vec<_> = page.rows.iter().map(|(n, value)| snapshot(*n, *value, page.read_at)).collect();
        match self.run(&payload, true) {
            Some(BatchReport { unfinished: None, .. }) => {}
            Some(_) if again => self.pages.push(page),
            failed => {
                self.given_up |= failed.is_some();
                self.read_page();
            }
        }
    }

    /// One that stands still goes on; nobody listens to it any more.
    pub(crate) fn resume(&mut self, n: usize) {
        if self.standing.is_empty() {
            return;
        }
        let mut worker = self.standing.swap_remove(n % self.standing.len());
        worker.gate.open();
        let report = drive(worker.work.as_mut()).expect("a worker that goes on stands still no more");
        self.given_up |= worker.page && report.unfinished.is_some();
        if report.unfinished.is_some() && !worker.late.is_empty() {
            self.hand_over(worker.late);
        }
    }

    /// One that stands still is gone.
    pub(crate) fn crash(&mut self, n: usize) {
        if !self.standing.is_empty() {
            let worker = self.standing.swap_remove(n % self.standing.len());
            self.given_up |= worker.page;
            if !worker.late.is_empty() {
                self.hand_over(worker.late);
            }
        }
    }

    pub(crate) fn standing(&self) -> usize {
        self.standing.len()
    }

    fn batch(&self, order: &[usize]) -> Vec<String> {
        order.iter().map(|n| self.stream[*n].clone()).collect()
    }

    /// An invocation: its answer, or none if it stands still.
    fn run(&mut self, records: &[String], page: bool) -> Option<BatchReport> {
        let gate = Gate::default();
        let mut work = self.work(records, &gate);
        let report = drive(work.as_mut());
        if report.is_none() && (page || self.kind.tombstones) {
            self.standing.push(Worker { work, gate, page, late: Vec::new() });
        }
        report
    }

    fn work(&self, records: &[String], gate: &Gate) -> Work {
        let payload = format!(r#"{{"Records":[{}]}}"#, records.join(","));
        let dispatcher = self.dispatcher(gate);
        Box::pin(async move { dispatcher.dispatch(payload, &Context::default()).await.expect("a stream event") })
    }

    fn replica(&self, target: &Arc<Memory>, gate: &Gate) -> Replica {
        let staged =
            |table: &Arc<Memory>| Staged { table: table.clone(), fates: self.fates.clone(), gate: gate.clone() };
        let replica = Replica::new(staged(target));
        let replica = match self.kind.tombstones {
            true => replica.tombstones(Tombstones::keep(Duration::from_secs(7 * 24 * 60 * 60))),
            false => replica.reread(staged(&self.source)),
        };
        if self.kind.takes == Takes::Wanted { replica.transform(wanted) } else { replica }
    }

    fn dispatcher(&self, gate: &Gate) -> Dispatcher {
        match self.targets.as_slice() {
            [first, second] => self.route(self.replica(first, gate).and(self.replica(second, gate))),
            [first, ..] => self.route(self.replica(first, gate)),
            [] => unreachable!("there is a target"),
        }
    }

    fn route(&self, handler: impl Handler<record::Item, NewImage>) -> Dispatcher {
        match self.kind.takes {
            Takes::Routed => Router::by_attribute("kind").route("ROW", handler).ignore_others().into(),
            _ => Router::<NewAndOldImages>::new().every(handler).into(),
        }
    }

    /// A backfill that has given up on a page sweeps up behind itself.
    pub(crate) fn sweep(&self) {
        for target in self.targets.iter().filter(|_| self.given_up) {
            let replica = self.replica(target, &Gate::default());
            if self.kind.takes == Takes::Routed {
                self.sweep_on_the_route(target, Sweep::new(replica));
            } else {
                done(replica.sweep(&["PK"], target.rows())).expect("nothing fails any more");
            }
        }
    }

    /// As a second backfill that goes through the target.
    fn sweep_on_the_route(&self, target: &Memory, sweep: Sweep) {
        let found = target.rows().into_iter().filter(|row| !is_tombstone(row)).map(|row| {
            let (AttributeValue::S(key), AttributeValue::S(version)) = (&row["PK"], &row["anabranchVersion"]) else {
                panic!("a key and a version")
            };
            let (n, value) = (key.parse().expect("a small number"), value(&row).expect("a row with a value"));
            snapshot(n, value, self.now)
                .replace(r#""kind""#, &format!(r#""anabranchVersion":{{"S":"{version}"}},"kind""#))
        });
        let payload = format!(r#"{{"Records":[{}]}}"#, found.collect::<Vec<_>>().join(","));
        let swept = done(self.route(sweep).dispatch(payload, &Context::default())).expect("a stream event");
        assert_eq!(swept.unfinished, None, "nothing fails any more");
    }

    pub(crate) fn check(&self) {
        let mut expected = rows(&self.source);
        expected.retain(|_, value| self.kind.takes == Takes::All || wants(*value));
        for target in &self.targets {
            assert_eq!(rows(target), expected, "replica (left) = table (right), of {:?}", self.kind);
        }
    }
}

/// What a filtered replica wants.
fn wanted(row: Item) -> Option<Item> {
    value(&row).filter(|value| wants(*value)).map(|_| row)
}

fn wants(value: u64) -> bool {
    !value.is_multiple_of(3)
}

fn key(n: usize) -> Item {
    item([("PK", text(n.to_string()))])
}

fn row(n: usize, value: u64) -> Item {
    let number = AttributeValue::N(value.to_string());
    item([("PK", text(n.to_string())), ("value", number), ("kind", text(kind(value)))])
}

fn kind(value: u64) -> &'static str {
    if wants(value) { "ROW" } else { "OTHER" }
}

fn image(n: usize, value: u64) -> String {
    format!(r#"{{"PK":{{"S":"{n}"}},"value":{{"N":"{value}"}},"kind":{{"S":"{}"}}}}"#, kind(value))
}

fn snapshot(n: usize, value: u64, read_at: usize) -> String {
    let image = image(n, value);
    format!(
        r#"{{"eventName":"INSERT","eventSource":"anabranch:snapshot","dynamodb":{{"Keys":{{"PK":{{"S":"{n}"}}}},"NewImage":{image},"SequenceNumber":"{read_at}"}}}}"#
    )
}

fn value(row: &Item) -> Option<u64> {
    let AttributeValue::N(value) = row.get("value")? else { return None };
    value.parse().ok()
}

/// The items of a table.
fn rows(table: &Memory) -> BTreeMap<usize, u64> {
    let rows = table.rows();
    let pair = |row: &Item| {
        let AttributeValue::S(key) = &row["PK"] else { panic!("a string key") };
        (key.parse().expect("a small number"), value(row).expect("a row with a value"))
    };
    rows.iter().filter(|row| !is_tombstone(row)).map(pair).collect()
}

/// How many items there may be.
pub(crate) fn items() -> usize {
    ITEMS
}
