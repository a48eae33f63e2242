//! Rates that outlive slices and segments, of a table played behind a real SDK client, on a paused clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    types::{KeySchemaElement, KeyType, TableDescription},
};
use futures_util::{StreamExt, future::pending, stream, stream::BoxStream};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::{
    aws::double,
    handler::{BoxError, Deadline, Failure},
    record::{NewImage, RawImage, Record},
    router::Router,
    scan::{Cursor, SinkRate},
};

/// Pages, all alike.
#[derive(Clone, Copy)]
struct Shape {
    segments: u32,
    /// Pages of a segment.
    pages: u32,
    /// Items of a page.
    items: u32,
    /// Read units of a page.
    units: f64,
}

impl Shape {
    fn page(self, request: &Value) -> Value {
        let segment = request["Segment"].as_u64().unwrap_or_default();
        let after = request["ExclusiveStartKey"]["PK"]["S"].as_str().and_then(|key| key.split('/').nth(1));
        let page = after.map_or(0, |page| page.parse::<u32>().unwrap() + 1);
        let key = |item| json!({"PK": {"S": format!("{segment}/{page}/{item}")}});
        let items: Vec<_> = (0..self.items).map(key).collect();
        let mut answer = json!({"Items": items, "Count": self.items, "ScannedCount": self.items,
            "ConsumedCapacity": {"TableName": "Pets", "CapacityUnits": self.units}});
        if page + 1 < self.pages {
            answer["LastEvaluatedKey"] = key(0);
        }
        answer
    }

    async fn history(self, latency: Duration) -> TableHistory {
        self.counted(latency, Arc::default()).await
    }

    /// The same; its requests are counted.
    async fn counted(self, latency: Duration, requests: Arc<AtomicUsize>) -> TableHistory {
        let answer = move |_: &str, request| {
            requests.fetch_add(1, Relaxed);
            (200, self.page(&request))
        };
        let config = double::slow_config(latency, answer).await;
        let key = KeySchemaElement::builder().attribute_name("PK").key_type(KeyType::Hash).build().unwrap();
        let described = TableDescription::builder().key_schema(key).build();
        TableHistory::described(&Client::new(&config), "Pets", Some(&described)).segments(self.segments)
    }

    fn rows(self) -> f64 {
        f64::from(self.segments * self.pages * self.items)
    }

    fn all_units(self) -> f64 {
        f64::from(self.segments * self.pages) * self.units
    }
}

fn backfill<H: History>(history: H) -> Backfill<H> {
    let handler = |_: Record<RawImage, NewImage>| async { Ok::<_, Failure>(()) };
    Backfill::new(history, Router::<NewImage>::new().every(handler), "count")
}

const LATENCY: Duration = Duration::from_millis(20);

/// How long a job takes, in seconds, and what it came to.
async fn run(history: TableHistory, workers: usize) -> (f64, Counts) {
    let places = history.places().unwrap();
    let backfill = backfill(history);
    let (mut job, begin) = (backfill.job("job", places), Instant::now());
    backfill.run(&mut job, workers, |_| ()).await.unwrap();
    assert!(job.is_done() && job.counts().reconciled());
    (begin.elapsed().as_secs_f64(), job.counts())
}

#[track_caller]
fn assert_within(seconds: f64, least: f64, most: f64) {
    assert!((least..=most).contains(&seconds), "{seconds} s, and not {least} to {most}");
}

#[tokio::test(start_paused = true)]
async fn a_rate_outlives_segments() {
    let shape = Shape { segments: 64, pages: 1, items: 8, units: 4.0 };
    for workers in [1, 4] {
        let share = 8.0 / f64::from(workers);
        let (seconds, counts) = run(shape.history(LATENCY).await.rate(share), workers as usize).await;
        assert_eq!((counts.units, counts.applied), (256.0, 512));
        // The last page of each worker is not waited for.
        let page_each = 4.0 / share;
        assert_within(seconds, shape.all_units() / 8.0 - page_each, shape.all_units() / 8.0 + 0.1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_of_rows_outlives_segments() {
    let shape = Shape { segments: 64, pages: 1, items: 8, units: 4.0 };
    for rate in [SinkRate::Items(4.0), SinkRate::WriteUnits(4.0)] {
        let (seconds, _) = run(shape.history(LATENCY).await.sink_rate(rate), 4).await;
        assert_within(seconds, shape.rows() / 16.0 - 2.0, shape.rows() / 16.0 + 0.1);
    }
}

#[tokio::test(start_paused = true)]
async fn pages_that_cost_more_than_a_slice_are_paid_for() {
    let shape = Shape { segments: 4, pages: 3, items: 1_000, units: 100.0 };
    let (seconds, _) = run(shape.history(LATENCY).await.rate(0.1), 2).await;
    assert_within(seconds, 5_000.0, 6_001.0);
    let (seconds, _) = run(shape.history(LATENCY).await.sink_rate(SinkRate::Items(1.0)), 2).await;
    assert_within(seconds, 5_000.0, 6_001.0);
}

/// How long a chain of slices takes, in seconds, and of how many it is. Each is a process of its own.
async fn chain(shape: Shape, rates: impl Fn(TableHistory) -> TableHistory, slice: Duration) -> (f64, usize) {
    let (begin, mut slices) = (Instant::now(), 0);
    for place in shape.history(LATENCY).await.places().unwrap() {
        let mut stored = String::new();
        loop {
            let backfill = backfill(rates(shape.history(LATENCY).await));
            if stored.is_empty() {
                stored = serde_json::to_string(&backfill.begin("job", place.clone())).unwrap();
            }
            let cursor: SliceCursor<Cursor> = serde_json::from_str(&stored).unwrap();
            let deadline = Deadline::after(slice);
            let ended = backfill.run_slice(cursor, deadline).await.unwrap();
            assert!(!deadline.passed(), "a slice ends in time");
            slices += 1;
            match ended {
                Slice::Continue { cursor } => {
                    let cursor = serde_json::to_string(&cursor).unwrap();
                    assert_ne!(cursor, stored, "a slice goes on, if only in what is owed");
                    stored = cursor;
                }
                Slice::Done { counts } => {
                    assert_eq!(counts.records, u64::from(shape.pages * shape.items), "none twice");
                    break;
                }
            }
        }
    }
    (begin.elapsed().as_secs_f64(), slices)
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_slices_keeps_the_rate() {
    let shape = Shape { segments: 3, pages: 4, items: 100, units: 50.0 };
    for (slice, most) in [(30, 55), (900, 6)] {
        let slice = Duration::from_secs(slice);
        let (seconds, slices) = chain(shape, |history| history.sink_rate(SinkRate::Items(1.0)), slice).await;
        assert_within(seconds, shape.rows(), shape.rows() + 10.0);
        assert!(slices <= most, "{slices} slices of {slice:?}");
        let (seconds, _) = chain(shape, |history| history.rate(0.5), slice).await;
        assert_within(seconds, shape.all_units() / 0.5, shape.all_units() / 0.5 + 10.0);
        let both = |history: TableHistory| history.rate(5.0).sink_rate(SinkRate::Items(2.0));
        let (seconds, _) = chain(shape, both, slice).await;
        assert_within(seconds, shape.rows() / 2.0, shape.rows() / 2.0 + 10.0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_the_sink_takes_longer_for_than_a_slice_has_is_behind_the_cursor() {
    let shape = Shape { segments: 1, pages: 2, items: 100, units: 50.0 };
    let backfill = backfill(shape.history(LATENCY).await.sink_rate(SinkRate::Items(1.0)));
    let start = backfill.begin("job", backfill.history().places().unwrap().remove(0));
    let (begin, deadline) = (Instant::now(), Deadline::after(Duration::from_secs(30)));
    let slice = backfill.run_slice(start, deadline).await.unwrap();
    let Slice::Continue { cursor } = slice else { panic!("{slice:?}") };
    assert!(begin.elapsed() < Duration::from_secs(1), "the next slice waits, and not this one in vain");
    assert_eq!((cursor.counts.records, cursor.place.key().is_some()), (100, true));
    // The next has no time for anything else.
    let slice = backfill.run_slice(cursor.clone(), Deadline::after(Duration::from_secs(30))).await.unwrap();
    let Slice::Continue { cursor: next } = slice else { panic!("{slice:?}") };
    assert_eq!((&next.place, &next.counts), (&cursor.place, &cursor.counts));
    // A slice that has not even time to wait does not go round in circles.
    let error = backfill.run_slice(next, Deadline::after(Duration::from_millis(200))).await.unwrap_err();
    assert!(matches!(error, BackfillError::NoTime), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_leaves_no_time_for_a_page_is_not_waited_again() {
    let shape = Shape { segments: 1, pages: 2, items: 10, units: 280.0 };
    let slow = Duration::from_secs(3);
    let backfill = backfill(shape.history(slow).await.rate(10.0));
    let mut cursor = backfill.begin("job", backfill.history().places().unwrap().remove(0));
    for (portions, owes) in [(1, true), (1, false), (2, true)] {
        let slice = backfill.run_slice(cursor, Deadline::after(Duration::from_secs(28))).await.unwrap();
        let Slice::Continue { cursor: next } = slice else { panic!("{slice:?}") };
        assert_eq!((next.counts.portions, !next.owed.is_nothing()), (portions, owes));
        cursor = next;
    }
    assert!(cursor.ended, "the last page is paid for by a slice that reads nothing");
    let slice = backfill.run_slice(cursor, Deadline::after(Duration::from_secs(30))).await.unwrap();
    assert_eq!(slice.counts().portions, 2);
    assert!(slice.is_done());
}

#[tokio::test(start_paused = true)]
async fn slices_that_wait_for_their_rows_read_no_page_in_vain() {
    let shape = Shape { segments: 1, pages: 10, items: 100, units: 50.0 };
    let requests = Arc::new(AtomicUsize::new(0));
    let history = shape.counted(LATENCY, Arc::clone(&requests)).await.sink_rate(SinkRate::Items(1.0));
    let backfill = backfill(history);
    let mut cursor = backfill.begin("job", backfill.history().places().unwrap().remove(0));
    while let Slice::Continue { cursor: next } =
        backfill.run_slice(cursor, Deadline::after(Duration::from_secs(30))).await.unwrap()
    {
        cursor = next;
    }
    assert_eq!(requests.load(Relaxed), 10);
}

/// Says nothing, ever.
struct Silent;

impl History for Silent {
    type Place = u32;

    fn open(&self, _: &u32, _: Deadline) -> BoxStream<'_, Result<Portion<u32>, BoxError>> {
        stream::once(pending()).boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_history_is_not_waited_for_past_the_deadline() {
    let backfill = backfill(Silent);
    let deadline = Deadline::after(Duration::from_secs(30));
    let error = backfill.run_slice(backfill.begin("job", 0), deadline).await.unwrap_err();
    assert!(matches!(error, BackfillError::NoTime), "{error:?}");
    assert_eq!(deadline.remaining(), Some(Duration::ZERO));
}
