//! Reading on demand, under everything that happens to streams.

use std::{collections::HashMap, sync::Arc};

use anabranch::{
    source::{
        mapping::{Checkpoint, Checkpoints, FaultKind, MemoryCheckpoints, TrimPolicy},
        reader::{ReaderError, ReaderState, StreamEvent, StreamReader},
    },
    testing::streams::{Call, Fault, Quirks, StreamSimulator},
};
use futures_util::FutureExt;

use crate::{driver::Simulated, play::seconds};

fn stream() -> Arc<StreamSimulator> {
    Arc::new(StreamSimulator::new())
}

fn reader(stream: &Arc<StreamSimulator>) -> StreamReader {
    let simulated = Simulated(stream.clone());
    StreamReader::new(stream.arn(), simulated.clone()).clock(simulated)
}

/// A reader that was written down and read back.
fn resumed(stream: &Arc<StreamSimulator>, state: &ReaderState) -> StreamReader {
    let written = serde_json::to_string(state).expect("a state is JSON");
    reader(stream).resume(serde_json::from_str(&written).expect("a state")).expect("the same stream")
}

fn put(stream: &StreamSimulator, count: usize) {
    for n in 0..count {
        stream.put(&format!("PET#{n}"));
    }
}

/// The numbers of the records among the events.
fn numbers(events: &[StreamEvent]) -> Vec<u64> {
    events.iter().filter_map(StreamEvent::record).map(|it| StreamSimulator::ordinal(it.sequence_number())).collect()
}

/// The events without their contents.
fn shape(events: &[StreamEvent]) -> Vec<String> {
    let shown = |event: &StreamEvent| match event {
        StreamEvent::NewShards(shards) => format!("{} new", shards.len()),
        StreamEvent::RemovedShards(shards) => format!("{} removed", shards.len()),
        StreamEvent::Gap { .. } => "gap".to_owned(),
        StreamEvent::Ended => "ended".to_owned(),
        other => other.record().map_or("unreadable", |_| "record").to_owned(),
    };
    events.iter().map(shown).collect()
}

#[tokio::test]
async fn a_call_reads_what_there_is_and_the_next_one_what_came_since() {
    let stream = stream();
    let mut reader = reader(&stream);
    assert_eq!(shape(&reader.fetch().await.unwrap()), ["1 new"]);
    put(&stream, 3);
    assert_eq!(numbers(&reader.fetch().await.unwrap()), [1, 2, 3]);
    assert!(reader.fetch().await.unwrap().is_empty());
    put(&stream, 1);
    assert_eq!(numbers(&reader.fetch().await.unwrap()), [4], "without any time in between");
}

#[tokio::test]
async fn shards_are_told_when_they_come_and_when_they_go() {
    let stream = stream();
    let mut reader = reader(&stream);
    put(&stream, 2);
    stream.split(&stream.open_shards()[0]);
    put(&stream, 2);
    let events = reader.fetch().await.unwrap();
    assert_eq!(shape(&events), ["3 new", "record", "record", "1 removed", "record", "record"]);
    stream.disable();
    assert_eq!(shape(&reader.fetch().await.unwrap()), ["2 removed", "ended"]);
    assert!(reader.fetch().await.unwrap().is_empty(), "once is enough");
}

#[tokio::test]
async fn a_bookmark_begins_with_what_is_new_and_holds_over_a_restart() {
    for at_timestamp in [true, false] {
        let stream = stream();
        stream.set_quirks(Quirks { at_timestamp, ..Quirks::default() });
        put(&stream, 3);
        stream.advance(seconds(5));
        let mut before = reader(&stream).from_now();
        assert!(numbers(&before.fetch().await.unwrap()).is_empty());
        stream.roll(&stream.open_shards()[0]);
        put(&stream, 2);
        assert_eq!(numbers(&resumed(&stream, before.state()).fetch().await.unwrap()), [4, 5], "{at_timestamp}");
        assert_eq!(numbers(&before.fetch().await.unwrap()), [4, 5]);
    }
}

#[tokio::test]
async fn records_that_were_trimmed_are_an_error_or_a_gap() {
    let stream = stream();
    let mut reader = reader(&stream);
    put(&stream, 2);
    reader.fetch().await.unwrap();
    put(&stream, 2);
    stream.advance(seconds(30 * 3600));
    put(&stream, 1);
    let mut failing = resumed(&stream, reader.state());
    assert!(matches!(failing.fetch().await, Err(ReaderError::Trimmed(_))));
    assert!(matches!(failing.fetch().await, Err(ReaderError::Trimmed(_))), "it stays so until somebody decides");
    let mut going_on = resumed(&stream, reader.state()).on_trimmed(TrimPolicy::Continue);
    let events = going_on.fetch().await.unwrap();
    assert_eq!((shape(&events), numbers(&events)), (vec!["gap".to_owned(), "record".to_owned()], vec![5]));
}

/// What a reader says that goes on with these checkpoints: its events, or that records were trimmed.
async fn resumed_with(stream: &Arc<StreamSimulator>, checkpoints: &[Checkpoint], policy: TrimPolicy) -> Vec<String> {
    let state = ReaderState::new(stream.arn()).with_checkpoints(checkpoints.to_vec());
    match resumed(stream, &state).on_trimmed(policy).fetch().await {
        Ok(events) => shape(&events),
        Err(error) => vec![format!("{error:?}").chars().take_while(|it| it.is_alphabetic()).collect()],
    }
}

#[tokio::test]
async fn a_shard_whose_parent_was_never_seen_is_an_error_or_a_gap() {
    let stream = stream();
    let mut reader = reader(&stream);
    reader.fetch().await.unwrap();
    stream.roll(&stream.open_shards()[0]);
    reader.fetch().await.unwrap();
    let finished: Vec<_> = reader.state().checkpoints().iter().filter(|it| it.finished).cloned().collect();
    assert_eq!(finished.len(), 1);
    put(&stream, 1);
    stream.roll(&stream.open_shards()[0]);
    stream.advance(seconds(25 * 3600));
    put(&stream, 1);
    assert_eq!(resumed_with(&stream, &finished, TrimPolicy::Fail).await, ["Trimmed"]);
    assert_eq!(resumed_with(&stream, &finished, TrimPolicy::Continue).await, ["1 new", "gap", "record"]);
    assert_eq!(resumed_with(&stream, &[], TrimPolicy::Fail).await, ["1 new", "record"], "nobody wanted them");
}

#[tokio::test]
async fn a_shard_that_is_gone_has_lost_nothing_if_its_tip_was_reached_since_it_ended() {
    let stream = stream();
    put(&stream, 1);
    let hours = |count: i64| stream.now().as_nanos() - count * 3_600_000_000_000;
    for (idle, failing, going_on) in [
        (Some(1), vec!["1 new", "1 removed", "record"], vec!["1 new", "1 removed", "record"]),
        (Some(24), vec!["Trimmed"], vec!["1 new", "gap", "1 removed", "record"]),
        (None, vec!["Trimmed"], vec!["1 new", "gap", "1 removed", "record"]),
    ] {
        let text = serde_json::json!({
            "shard": "shardId-gone", "sequence": "7", "idle_at": idle.map(hours), "updated_at": hours(1),
        });
        let gone: Checkpoint = serde_json::from_value(text).unwrap();
        assert_eq!(resumed_with(&stream, std::slice::from_ref(&gone), TrimPolicy::Fail).await, failing, "{idle:?}");
        assert_eq!(resumed_with(&stream, &[gone], TrimPolicy::Continue).await, going_on, "{idle:?}");
    }
}

/// One page of a call may be empty although later data exists (ESM-58), so it takes ten to know a tip. Whoever asks once in a few
/// hours knows it within the day all the same, and loses nothing that nobody wrote.
#[tokio::test]
async fn a_quiet_shard_has_lost_nothing_however_seldom_it_is_asked() {
    for (hours, records, keeps) in
        [(1, 0, true), (1, 2, true), (3, 0, false), (3, 2, false), (20, 2, true), (20, 2, false)]
    {
        let stream = stream();
        put(&stream, records);
        let mut reader = reader(&stream);
        for turn in 0..30 {
            let events =
                reader.fetch().await.unwrap_or_else(|error| panic!("{hours} h, {keeps}, turn {turn}: {error}"));
            assert!(turn == 0 || events.is_empty(), "{hours} h, {keeps}, turn {turn}: {:?}", shape(&events));
            if keeps {
                reader = resumed(&stream, reader.state());
            }
            stream.advance(seconds(hours * 3600));
        }
        put(&stream, 1);
        assert_eq!(numbers(&reader.fetch().await.unwrap()).len(), 1);
    }
}

/// The same for one that begins with what is new.
#[tokio::test]
async fn a_bookmark_in_a_quiet_shard_stays_good() {
    let stream = stream();
    let mut bookmark = reader(&stream).from_now();
    for turn in 0..30 {
        bookmark.fetch().await.unwrap_or_else(|error| panic!("turn {turn}: {error}"));
        bookmark = resumed(&stream, bookmark.state());
        stream.advance(seconds(3600));
    }
    put(&stream, 1);
    assert_eq!(numbers(&bookmark.fetch().await.unwrap()).len(), 1);
}

#[tokio::test]
async fn what_is_older_than_a_day_is_handed_out_all_the_same() {
    // The stream's clock is years behind: emulators keep records for ever.
    let stream = stream();
    put(&stream, 2);
    let mut reader = StreamReader::new(stream.arn(), stream.clone());
    assert_eq!(numbers(&reader.fetch().await.unwrap()), [1, 2]);
    assert!(reader.fetch().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_call_that_fails_is_repeated_and_then_an_error_that_loses_nothing() {
    let stream = stream();
    stream.split(&stream.open_shards()[0]);
    put(&stream, 40);
    let [one, other] = [0, 1].map(|n| stream.open_shards()[n].clone());
    let mut left = 4;
    let broken = one.clone();
    stream.set_faults(move |call| {
        let fails = *call == Call::Records(broken.clone()) && left > 0;
        left -= i32::from(fails);
        if fails { Fault::Fail(FaultKind::Throttled) } else { Fault::None }
    });
    let mut patient = reader(&stream);
    assert_eq!(numbers(&patient.fetch().await.unwrap()).len(), 40);

    let broken = one.clone();
    let broken = move |call: &Call| *call == Call::Records(broken.clone());
    stream.set_faults(move |call| if broken(call) { Fault::Fail(FaultKind::Other) } else { Fault::None });
    let mut reader = reader(&stream);
    let error = reader.fetch().await.unwrap_err();
    assert!(matches!(&error, ReaderError::Failed { shard: Some(shard), .. } if *shard == one), "{error}");
    assert!(reader.state().checkpoints().is_empty(), "nothing was handed out");
    stream.set_faults(|_| Fault::None);
    let mut read = numbers(&reader.fetch().await.unwrap());
    read.sort_unstable();
    assert_eq!(read, (1..=40).collect::<Vec<_>>());
    let by_shard = |shard: &Arc<str>| stream.placed().iter().filter(|(_, it)| it == shard).count();
    assert!(by_shard(&one) > 0 && by_shard(&other) > 0, "both had something");
}

#[tokio::test]
async fn a_stream_that_is_gone_and_one_that_is_another_are_errors() {
    let stream = stream();
    let mut reader = reader(&stream);
    let other = ReaderState::new("arn:aws:dynamodb:eu-west-1:123456789012:table/T/stream/other");
    let refused = StreamReader::new(stream.arn(), stream.clone()).resume(other).err();
    assert!(matches!(refused, Some(ReaderError::OtherStream { .. })));
    stream.delete();
    assert_eq!(reader.fetch().await.unwrap_err(), ReaderError::Gone { stream: stream.arn() });
}

#[tokio::test]
async fn a_call_that_is_dropped_loses_nothing() {
    let stream = stream();
    put(&stream, 2_500);
    let mut reader = reader(&stream);
    for patience in 0..200 {
        let mut polls = 0;
        let mut fetch = Box::pin(reader.fetch());
        let done = std::future::poll_fn(|context| {
            polls += 1;
            let polled = fetch.poll_unpin(context);
            if polled.is_pending() && polls <= patience {
                context.waker().wake_by_ref();
                return std::task::Poll::Pending;
            }
            std::task::Poll::Ready(match polled {
                std::task::Poll::Ready(events) => Some(events),
                std::task::Poll::Pending => None,
            })
        });
        if let Some(events) = done.await {
            assert_eq!(numbers(&events.unwrap()), (1..=2_500).collect::<Vec<_>>());
            return;
        }
    }
    panic!("the call never comes to its end");
}

#[tokio::test]
async fn a_mapping_takes_over_from_a_reader() {
    let stream = stream();
    put(&stream, 3);
    let mut reader = reader(&stream);
    reader.fetch().await.unwrap();
    let positions = MemoryCheckpoints::default();
    positions.save("group", &stream.arn(), reader.state().checkpoints()).await.unwrap();
    put(&stream, 1);
    let loaded = positions.load("group", &stream.arn()).await.unwrap();
    let mut next = resumed(&stream, &ReaderState::new(stream.arn()).with_checkpoints(loaded));
    assert_eq!(numbers(&next.fetch().await.unwrap()), [4]);
}

/// Faults, rollovers, splits and restarts, drawn from a seed: each record once, in order per item.
#[tokio::test]
async fn whatever_happens_each_record_comes_once_and_in_order() {
    for seed in 0..60_u64 {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut below = move |bound: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % bound
        };
        let stream = stream();
        let mut whim = seed;
        stream.set_faults(move |call| {
            whim = whim.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            match ((whim >> 40) % 12, call) {
                (0, _) => Fault::Fail(FaultKind::Throttled),
                (1, Call::Records(_)) => Fault::EmptyPage,
                (2, Call::Records(_)) => Fault::NoNextIterator,
                (3, Call::Records(_)) => Fault::Fail(FaultKind::Expired),
                _ => Fault::None,
            }
        });
        let mut reader = reader(&stream);
        let mut seen: HashMap<String, Vec<u64>> = HashMap::new();
        for round in 0..60 {
            match below(8) {
                0 => drop(stream.roll(&stream.open_shards()[0])),
                1 if stream.shards() < 20 => drop(stream.split(&stream.open_shards()[0])),
                2 => stream.expire_iterators(),
                3 => reader = resumed(&stream, reader.state()),
                4 => stream.advance(seconds(below(1200))),
                _ => put(&stream, below(20) as usize),
            }
            if round == 59 {
                stream.set_faults(|_| Fault::None);
            }
            for _ in 0..1 + 4 * (round / 59) {
                // What a failing call has read, the next one hands out; a restart forgets it, and the state with it.
                let events = reader.fetch().await.unwrap_or_default();
                for record in events.iter().filter_map(StreamEvent::record) {
                    let key = record.keys().attribute("PK").unwrap().unwrap().into_owned();
                    seen.entry(key).or_default().push(StreamSimulator::ordinal(record.sequence_number()));
                }
            }
        }
        let mut all: Vec<_> = seen.values().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (1..=stream.placed().len() as u64).collect::<Vec<_>>(), "seed {seed}");
        assert!(seen.values().all(|numbers| numbers.is_sorted()), "seed {seed}");
    }
}
