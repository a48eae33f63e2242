//! What the tests share: settings, functions, and readings of what happened.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anabranch::{
    source::mapping::{Answer, Event, Settings},
    testing::streams::{Call, Fault, Invocation, Rehearsal, StreamSimulator},
};
use serde_json::{Value, json};

pub(crate) const FUNCTION: &str = "arn:aws:lambda:eu-west-1:123456789012:function:f";

pub(crate) fn settings() -> Settings {
    Settings::new(FUNCTION)
}

pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = settings();
    change(&mut settings);
    settings
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Writes so many records of as many items.
pub(crate) fn put(play: &Rehearsal, count: usize) {
    for n in 0..count {
        play.stream().put(&format!("PET#{n}"));
    }
}

/// The answer that names these records, by their numbers.
pub(crate) fn naming(invocation: &Invocation, records: &[u64]) -> Answer {
    let named = |sequence: &&String| records.contains(&StreamSimulator::ordinal(sequence));
    let failures: Vec<_> =
        invocation.sequences.iter().filter(named).map(|sequence| json!({ "itemIdentifier": sequence })).collect();
    Answer::returned(json!({ "batchItemFailures": failures }).to_string())
}

/// A function that raises an error whenever it sees one of these records.
pub(crate) fn raising(records: &'static [u64]) -> impl FnMut(&Invocation) -> Answer + Send + 'static {
    move |invocation| match invocation.records().iter().any(|record| records.contains(record)) {
        true => Answer::failed("told to fail").with_request_id("request-1"),
        false => Answer::returned("null"),
    }
}

/// A function that reports the first of these records that it sees, and what is behind it.
pub(crate) fn reporting(records: &'static [u64]) -> impl FnMut(&Invocation) -> Answer + Send + 'static {
    move |invocation| naming(invocation, records)
}

/// When invocations came, in milliseconds from the first one.
pub(crate) fn times(play: &Rehearsal) -> Vec<i64> {
    let nanos: Vec<_> = play.invocations().iter().map(|it| it.time.as_nanos()).collect();
    nanos.iter().map(|time| (time - nanos[0]) / 1_000_000).collect()
}

/// How often each record was delivered.
pub(crate) fn deliveries(play: &Rehearsal) -> HashMap<u64, usize> {
    let mut counts = HashMap::new();
    for record in play.trace().into_iter().flatten() {
        *counts.entry(record).or_default() += 1;
    }
    counts
}

/// The documents that a queue got.
pub(crate) fn documents(play: &Rehearsal) -> Vec<Value> {
    play.failures().iter().map(|failure| serde_json::from_str(&failure.document()).expect("JSON")).collect()
}

pub(crate) fn open_shard(play: &Rehearsal) -> Arc<str> {
    play.stream().open_shards()[0].clone()
}

pub(crate) fn has(play: &Rehearsal, event: impl Fn(&Event) -> bool) -> bool {
    play.events().iter().any(event)
}

/// Faults for the calls that `wanted` picks, by their count from 0.
pub(crate) fn fail(play: &Rehearsal, wanted: impl Fn(&Call, usize) -> Fault + Send + 'static) {
    let mut counts = [0; 3];
    play.stream().set_faults(move |call| {
        let kind = match call {
            Call::Describe => 0,
            Call::Iterator(_) => 1,
            Call::Records(_) => 2,
        };
        counts[kind] += 1;
        wanted(call, counts[kind] - 1)
    });
}
