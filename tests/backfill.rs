//! Slices of a backfill: whatever fails, every row goes through the handlers, and every row is accounted for.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex},
    time::Duration,
};

use anabranch::{
    dispatch::Dispatcher,
    handler::{BoxError, Deadline, Failure, FunctionExt},
    record::{
        NewImage, RawImage, Record, Timestamp,
        wire::{EventWriter, ItemJson, RecordParts},
    },
    router::Router,
    sink::dead_letter,
    source::backfill::{Backfill, BackfillError, Counts, History, Job, Portion, Slice, SliceCursor},
};
use futures_util::{StreamExt, stream, stream::BoxStream};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

/// Rows by number, some to a page and some pages to a segment.
#[derive(Debug, Clone)]
struct Numbers {
    segments: u32,
    pages: u32,
    rows: u32,
    page_time: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    segment: u32,
    page: u32,
}

impl Numbers {
    fn total(&self) -> u32 {
        self.segments * self.pages * self.rows
    }

    fn places(&self) -> impl Iterator<Item = Place> + use<> {
        (0..self.segments).map(|segment| Place { segment, page: 0 })
    }

    async fn portion(&self, Place { segment, page }: Place) -> Portion<Place> {
        tokio::time::sleep(self.page_time).await;
        let mut event = EventWriter::new();
        for row in 0..self.rows {
            let item = format!(r#"{{"PK":{{"S":"{}"}}}}"#, (segment * self.pages + page) * self.rows + row);
            let item = || ItemJson::from_json(item.clone());
            event.push(&RecordParts::snapshot(item(), item(), Timestamp::from_nanos(1)));
        }
        let records = u64::from(self.rows);
        let next = (page + 1 < self.pages).then_some(Place { segment, page: page + 1 });
        Portion {
            payload: event.finish(),
            records,
            scanned: records,
            expired: 0,
            units: Some(0.5),
            sink_units: None,
            next,
        }
    }
}

impl History for Numbers {
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

/// The same, of which only the first pages can be read.
#[derive(Debug)]
struct Broken {
    numbers: Numbers,
    good: u32,
}

impl History for Broken {
    type Place = Place;

    fn open(&self, place: &Place, deadline: Deadline) -> BoxStream<'_, Result<Portion<Place>, BoxError>> {
        let pages = self.numbers.open(place, deadline).zip(stream::iter(place.page..));
        pages.map(|(portion, page)| if page < self.good { portion } else { Err("no more".into()) }).boxed()
    }
}

/// What a handler does with a row when it comes for the first time, the second and so on; it applies it after that.
type Plan = BTreeMap<u32, Vec<Act>>;

#[derive(Debug, Clone, Copy)]
enum Act {
    Retry,
    Reject,
    Panic,
}

/// How often each row came.
type Seen = Arc<Mutex<BTreeMap<u32, usize>>>;

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "PK")]
    number: String,
}

fn dispatcher(plan: Plan, time: Duration, seen: &Seen, letters: &Arc<dead_letter::Memory>) -> Dispatcher {
    let (plan, seen) = (Arc::new(plan), Arc::clone(seen));
    let handler = move |record: Record<RawImage, NewImage>| {
        let (plan, seen) = (Arc::clone(&plan), Arc::clone(&seen));
        async move {
            assert!(record.origin().is_snapshot());
            let row: Row = record.keys().decode().map_err(Failure::reject)?;
            tokio::time::sleep(time).await;
            let number = row.number.parse().expect("a number");
            let turn = {
                let mut seen = seen.lock().expect("no panic under the lock");
                let turn = seen.entry(number).or_default();
                *turn += 1;
                *turn - 1
            };
            match plan.get(&number).and_then(|acts| acts.get(turn)) {
                Some(Act::Retry) => Err(Failure::retry("planned retry")),
                Some(Act::Reject) => Err(Failure::reject("planned reject")),
                Some(Act::Panic) => panic!("planned panic"),
                None => Ok(()),
            }
        }
    };
    let router = Router::<NewImage>::new().every(handler.concurrency(NonZeroUsize::new(4).expect("four")));
    Dispatcher::with_dead_letters(router, letters.clone())
}

fn paused<R>(work: impl Future<Output = R>) -> R {
    std::panic::set_hook(Box::new(|info| {
        if info.payload_as_str() != Some("planned panic") {
            eprintln!("{info}");
        }
    }));
    let clock = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    clock.expect("a runtime").block_on(work)
}

#[derive(Debug, Clone)]
struct Play {
    history: Numbers,
    plan: Plan,
    row_time: Duration,
    /// How long each slice has; the last repeats.
    slices: Vec<Duration>,
    /// After how long each slice is killed, if it is.
    kills: Vec<Option<Duration>>,
}

fn play() -> impl Strategy<Value = Play> {
    let history = (1_u32..4, 1_u32..6, 1_u32..9, 0_u64..50).prop_map(|(segments, pages, rows, time)| Numbers {
        segments,
        pages,
        rows,
        page_time: Duration::from_millis(time),
    });
    let act = prop_oneof![3 => Just(Act::Retry), 1 => Just(Act::Reject), 1 => Just(Act::Panic)];
    let plan = prop::collection::btree_map(0_u32..100, prop::collection::vec(act, 1..4), 0..8);
    let slices = prop::collection::vec((3_u64..20).prop_map(Duration::from_secs), 1..5);
    let kills = prop::collection::vec(prop::option::of((0_u64..30_000).prop_map(Duration::from_millis)), 0..6);
    (history, plan, 0_u64..1_500, slices, kills).prop_map(|(history, plan, time, slices, kills)| Play {
        history,
        plan,
        row_time: Duration::from_millis(time),
        slices,
        kills,
    })
}

/// Runs a segment slice by slice, some of which are killed; answers with its counts, and how many were killed or cut off.
async fn run_segment(
    backfill: &Backfill<Numbers>,
    start: Place,
    play: &Play,
    kills: &mut impl Iterator<Item = Option<Duration>>,
) -> Result<(Counts, usize), TestCaseError> {
    let stored = Mutex::new(serde_json::to_string(&backfill.begin("job", start)).expect("a cursor is JSON"));
    for n in 0..1_000 {
        let time = play.slices[n.min(play.slices.len() - 1)] + Duration::from_secs(n as u64 / 20);
        let cursor = serde_json::from_str(&stored.lock().expect("no panic under the lock")).expect("a stored cursor");
        let store = |cursor: &SliceCursor<Place>| {
            *stored.lock().expect("no panic under the lock") = serde_json::to_string(cursor).expect("a cursor is JSON");
        };
        let slice = backfill.run_slice_observed(cursor, Deadline::after(time), store);
        let killed = kills.next().flatten().unwrap_or(Duration::MAX);
        match tokio::time::timeout(killed, slice).await {
            Ok(Ok(Slice::Done { counts })) => return Ok((counts, n)),
            Ok(Ok(Slice::Continue { cursor })) => store(&cursor),
            Ok(Err(BackfillError::NoTime | BackfillError::Stuck { .. })) | Err(_) => {}
            Ok(Err(error)) => return Err(TestCaseError::fail(format!("{error:?}"))),
        }
    }
    Err(TestCaseError::fail("no end"))
}

async fn run(play: &Play) -> Result<(), TestCaseError> {
    let (seen, letters) = (Seen::default(), Arc::new(dead_letter::Memory::default()));
    let backfill =
        Backfill::new(play.history.clone(), dispatcher(play.plan.clone(), play.row_time, &seen, &letters), "numbers");
    let (mut kills, mut total, mut early) = (play.kills.iter().copied(), Counts::default(), 0);
    for place in play.history.places() {
        let (counts, ended_early) = run_segment(&backfill, place, play, &mut kills).await?;
        prop_assert!(counts.reconciled(), "{counts:?}");
        total += &counts;
        early += ended_early;
    }
    let seen = seen.lock().expect("no panic under the lock");
    prop_assert_eq!(seen.len() as u32, play.history.total(), "every row came");
    prop_assert_eq!(total.records, u64::from(play.history.total()), "and was counted once");
    prop_assert_eq!(total.units, f64::from(play.history.segments * play.history.pages) * 0.5);
    let planned: usize = play.plan.values().map(Vec::len).sum();
    let most = seen.values().sum::<usize>() - seen.len();
    let portion = play.history.rows as usize;
    prop_assert!(most <= (planned + early) * portion, "{most} repeated, {early} slices ended early");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_row_is_handled_and_accounted_for(play in play()) {
        paused(run(&play))?;
    }

    #[test]
    fn a_job_that_is_dropped_goes_on_where_it_stood(play in play(), workers in 1_usize..4) {
        paused(run_job(&play, workers))?;
    }
}

async fn run_job(play: &Play, workers: usize) -> Result<(), TestCaseError> {
    let (seen, letters) = (Seen::default(), Arc::new(dead_letter::Memory::default()));
    let dispatcher = dispatcher(play.plan.clone(), play.row_time, &seen, &letters);
    let backfill = Backfill::new(play.history.clone(), dispatcher, "numbers");
    let mut job = backfill.job("job", play.history.places());
    for killed in play.kills.iter().map(|killed| killed.unwrap_or(Duration::MAX)).chain([Duration::MAX; 100]) {
        let ended = tokio::time::timeout(killed, backfill.run(&mut job, workers, |_| ())).await;
        // As a file would keep it.
        job = serde_json::from_str::<Job<Place>>(&serde_json::to_string(&job).expect("JSON")).expect("a stored job");
        if matches!(ended, Ok(Ok(()))) {
            break;
        }
    }
    prop_assert!(job.is_done());
    prop_assert!(job.counts().reconciled(), "{:?}", job.counts());
    prop_assert_eq!(job.counts().records, u64::from(play.history.total()));
    prop_assert_eq!(seen.lock().expect("no panic under the lock").len() as u32, play.history.total());
    Ok(())
}

fn ten() -> Numbers {
    Numbers { segments: 1, pages: 5, rows: 2, page_time: Duration::from_millis(10) }
}

fn backfill(plan: Plan, letters: Option<&Arc<dead_letter::Memory>>) -> (Backfill<Numbers>, Seen) {
    let seen = Seen::default();
    let letters = letters.cloned().unwrap_or_default();
    (Backfill::new(ten(), dispatcher(plan, Duration::ZERO, &seen, &letters), "numbers"), seen)
}

#[test]
fn a_row_that_stays_unfinished_holds_its_segment_up_and_says_why() {
    let (backfill, seen) = backfill(Plan::from([(4, vec![Act::Retry; 1_000])]), None);
    let start = backfill.begin("job", Place { segment: 0, page: 0 });
    let first = paused(backfill.run_slice(start, Deadline::NEVER)).expect("something was finished");
    let Slice::Continue { cursor } = first else { panic!("{first:?}") };
    assert_eq!((cursor.place.page, cursor.counts.applied), (2, 4));
    let error = paused(backfill.run_slice(cursor.clone(), Deadline::NEVER)).expect_err("nothing was finished");
    assert!(matches!(error, BackfillError::Stuck { position: 0, .. }), "{error:?}");
    assert!(error.to_string().contains("planned retry"), "{error}");
    assert_eq!(seen.lock().expect("no panic").get(&6), None, "nothing behind it was begun");
}

#[test]
fn rejects_are_buried_and_counted() {
    let letters = Arc::new(dead_letter::Memory::default());
    let (backfill, _) = backfill(Plan::from([(3, vec![Act::Reject])]), Some(&letters));
    let start = backfill.begin("job", Place { segment: 0, page: 0 });
    let slice = paused(backfill.run_slice(start, Deadline::NEVER)).expect("it ends");
    let Slice::Done { counts } = slice else { panic!("{slice:?}") };
    assert_eq!((counts.applied, counts.dead, counts.portions), (9, 1, 5));
    assert_eq!(letters.letters().len(), 1);
}

#[test]
fn a_cursor_of_other_handlers_is_refused() {
    let (backfill, seen) = backfill(Plan::new(), None);
    let begin = || backfill.begin("job", Place { segment: 0, page: 0 });
    let (mut other, mut later) = (begin(), begin());
    other.handler = "others".into();
    later.generation = 1;
    for cursor in [other, later] {
        let error = paused(backfill.run_slice(cursor, Deadline::NEVER)).expect_err("it is refused");
        assert!(matches!(error, BackfillError::Mismatch { .. }), "{error:?}");
    }
    assert!(seen.lock().expect("no panic").is_empty(), "nothing was read");
}

#[test]
fn a_slice_too_short_for_one_portion_says_so() {
    let slow = Numbers { page_time: Duration::from_secs(60), ..ten() };
    let (seen, letters) = (Seen::default(), Arc::default());
    let backfill = Backfill::new(slow, dispatcher(Plan::new(), Duration::from_secs(20), &seen, &letters), "numbers");
    let start = backfill.begin("job", Place { segment: 0, page: 0 });
    let error = paused(backfill.run_slice(start, Deadline::after(Duration::from_millis(100)))).expect_err("no time");
    assert!(matches!(error, BackfillError::NoTime), "{error:?}");
}

#[test]
fn what_was_finished_before_the_source_failed_is_not_repeated() {
    paused(async {
        let numbers = Numbers { segments: 1, pages: 5, rows: 3, page_time: Duration::ZERO };
        let begin = numbers.places().next().expect("a segment");
        let (seen, letters) = (Seen::default(), Arc::default());
        let dispatcher = dispatcher(Plan::new(), Duration::ZERO, &seen, &letters);
        let backfill = Backfill::new(Broken { numbers, good: 2 }, dispatcher, "broken");
        let slice = backfill.run_slice(backfill.begin("job", begin), Deadline::after(Duration::from_secs(60))).await;
        let Ok(Slice::Continue { cursor }) = slice else { panic!("{slice:?}") };
        assert_eq!((cursor.place.page, cursor.counts.applied), (2, 6));
        let failed = backfill.run_slice(cursor, Deadline::after(Duration::from_secs(60))).await;
        assert!(matches!(failed, Err(BackfillError::History { .. })), "{failed:?}");
    });
}
