//! Events, filters, batches, windows of time, lanes.

use std::{collections::HashMap, sync::Arc};

use anabranch::{
    pattern::FilterCriteria,
    source::mapping::{Answer, PAYLOAD_LIMIT, Settings},
    testing::streams::{Call, Rehearsal},
};
use serde_json::json;

use crate::play::{put, raising, seconds, settings, times, with};

/// A mapping of records whose attribute has this text.
fn filtered(batch_size: usize, attribute: &str, text: &str) -> Rehearsal {
    let pattern = json!({ "dynamodb": { "NewImage": { attribute: { "S": [text] } } } }).to_string();
    Rehearsal::new(with(|it| {
        it.batch_size = batch_size;
        it.filter_criteria = FilterCriteria::parse([pattern]).expect("a pattern");
    }))
}

#[test]
fn esm_12_and_13_the_event_has_the_shape_of_lambdas() {
    let mut play = Rehearsal::new(settings());
    put(&play, 1);
    play.run_for(seconds(1));
    let event = play.invocations()[0].json();
    let record = &event["Records"][0];
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&event), ["Records"]);
    let outer = ["awsRegion", "dynamodb", "eventID", "eventName", "eventSource", "eventSourceARN", "eventVersion"];
    let mut found = keys(record);
    found.sort();
    assert_eq!(found, outer);
    assert_eq!((&record["eventVersion"], &record["eventSource"]), (&json!("1.1"), &json!("aws:dynamodb")));
    let mut inner = keys(&record["dynamodb"]);
    inner.sort();
    let expected = ["ApproximateCreationDateTime", "Keys", "NewImage", "SequenceNumber", "SizeBytes", "StreamViewType"];
    assert_eq!(inner, expected);
    assert!(record["dynamodb"]["ApproximateCreationDateTime"].is_number());
    assert_eq!(record["eventID"].as_str().unwrap().len(), 32);
}

#[test]
fn esm_16_a_batch_never_mixes_shards() {
    let mut play = Rehearsal::new(with(|it| it.batching_window = seconds(5)));
    let shard = play.stream().open_shards()[0].clone();
    play.stream().split(&shard);
    play.run_for(seconds(5));
    put(&play, 40);
    play.run_for(seconds(30));
    let shards: Vec<_> = play.invocations().iter().map(|it| it.shard.clone()).collect();
    assert_eq!(shards.len(), 2);
    assert_ne!(shards[0], shards[1]);
    assert_eq!(play.trace().iter().map(Vec::len).sum::<usize>(), 40);
}

#[test]
fn esm_25_what_the_filter_declines_moves_the_position_and_nothing_else() {
    let mut play = filtered(2, "PK", "PET#3");
    put(&play, 3);
    play.run_for(seconds(1));
    assert!(play.trace().is_empty());
    let checkpoint = play.checkpoints().values().next().expect("a position").sequence.clone().unwrap();
    assert!(checkpoint.as_str().ends_with("03"), "{checkpoint}");
    put(&play, 9);
    play.run_for(seconds(1));
    assert_eq!(play.trace(), [[7]]);
    let metrics = play.machine().metrics();
    assert_eq!((metrics.polled, metrics.filtered_out, metrics.invoked), (12, 11, 1));
}

#[test]
fn esm_25_filtering_comes_before_batching() {
    let mut play = filtered(3, "text", "paired");
    for n in 1..=12 {
        play.stream().put_with("PET#1", if n % 2 == 0 { "paired" } else { "odd" });
    }
    play.run_for(seconds(1));
    assert_eq!(play.trace(), [[2, 4, 6], [8, 10, 12]]);
}

#[test]
fn esm_27_a_batch_is_cut_at_its_size() {
    let mut play = Rehearsal::new(with(|it| it.batch_size = 4));
    put(&play, 10);
    play.run_for(seconds(1));
    assert_eq!(play.trace(), [vec![1, 2, 3, 4], vec![5, 6, 7, 8], vec![9, 10]]);
}

#[test]
fn esm_27_a_batch_is_gathered_over_many_pages() {
    let mut play = Rehearsal::new(with(|it| {
        it.batch_size = 10_000;
        it.batching_window = seconds(5);
    }));
    play.run_for(seconds(1));
    put(&play, 12_500);
    play.run_for(seconds(20));
    assert_eq!(play.trace().iter().map(Vec::len).collect::<Vec<_>>(), [10_000, 2_500]);
    assert!(play.trace().into_iter().flatten().eq(1..=12_500));
    assert_eq!(times(&play), [0, 5_000], "the full one at once, the rest when its window is over");
}

#[test]
fn esm_27_an_event_has_at_most_six_megabytes() {
    let mut play = Rehearsal::new(with(|it| {
        it.batch_size = 10_000;
        it.batching_window = seconds(5);
    }));
    let text = "x".repeat(300_000);
    for _ in 0..50 {
        play.stream().put_with("PET#1", &text);
    }
    play.run_for(seconds(30));
    let sizes: Vec<_> = play.invocations().iter().map(|it| it.event.len()).collect();
    assert!(sizes.iter().all(|size| *size <= PAYLOAD_LIMIT), "{sizes:?}");
    assert_eq!(play.trace().iter().map(Vec::len).collect::<Vec<_>>(), [20, 20, 10]);
}

#[test]
fn esm_27_without_a_window_records_are_delivered_as_soon_as_they_are_read() {
    let mut play = Rehearsal::new(settings());
    play.run_for(seconds(10));
    put(&play, 1);
    let written = play.stream().now();
    play.run_for(seconds(1));
    let waited = play.invocations()[0].time.as_nanos() - written.as_nanos();
    assert!(waited <= 250_000_000, "{waited}");
}

#[test]
fn esm_27_the_window_starts_when_the_last_batch_is_done() {
    let mut play = Rehearsal::new(with(|it| it.batching_window = seconds(10)));
    play.set_latency(seconds(4));
    put(&play, 1);
    play.run_for(seconds(11));
    put(&play, 1);
    play.run_for(seconds(20));
    assert_eq!(times(&play), [0, 14_000], "ten seconds after the first one's four");
}

#[test]
fn esm_28_an_idle_shard_is_polled_four_times_a_second_and_nothing_is_invoked() {
    let mut play = Rehearsal::new(settings());
    let polls = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = polls.clone();
    play.stream().set_faults(move |call| {
        let polled = matches!(call, Call::Records(_));
        counted.fetch_add(usize::from(polled), std::sync::atomic::Ordering::Relaxed);
        anabranch::testing::streams::Fault::None
    });
    play.run_for(seconds(100));
    assert_eq!(polls.load(std::sync::atomic::Ordering::Relaxed), 400);
    assert!(play.trace().is_empty());
}

fn in_lanes(lanes: usize, change: impl FnOnce(&mut Settings)) -> Rehearsal {
    let mut settings = with(|it| it.parallelization_factor = lanes);
    change(&mut settings);
    Rehearsal::new(settings)
}

#[test]
fn esm_29_batches_of_a_shard_run_side_by_side_and_keep_the_order_of_each_item() {
    let mut play = in_lanes(4, |it| it.batch_size = 5).shuffled(7);
    play.set_latency(seconds(1));
    for n in 0..400 {
        play.stream().put(&format!("PET#{}", n % 16));
    }
    play.run_for(seconds(200));
    let (mut at_once, mut last) = (HashMap::new(), HashMap::new());
    for invocation in play.invocations() {
        *at_once.entry(invocation.time).or_insert(0) += 1;
        for record in invocation.records() {
            let item = (record - 1) % 16;
            assert!(last.insert(item, record).is_none_or(|before| before + 16 == record), "item {item}");
        }
    }
    let most = at_once.values().max().copied();
    assert!(most > Some(1) && most <= Some(4), "{most:?}");
    assert_eq!(last.len(), 16);
}

#[test]
fn esm_29_the_position_does_not_pass_a_lane_that_is_behind() {
    let mut play = in_lanes(4, |it| it.batch_size = 1);
    play.set_function(raising(&[1]));
    for n in 0..12 {
        play.stream().put(&format!("PET#{n}"));
    }
    play.run_for(seconds(100));
    let delivered: Vec<_> = play.trace().concat();
    assert!(delivered.contains(&2) || delivered.contains(&3) || delivered.contains(&4), "other lanes go on");
    assert!(play.checkpoints().values().all(|checkpoint| checkpoint.sequence.is_none()), "the first blocks it");
    play.crash();
    play.set_function(|_| Answer::returned(""));
    play.run_for(seconds(10));
    let position = play.checkpoints().values().next().unwrap().sequence.clone().unwrap();
    assert!(position.as_str().ends_with("12"));
}

#[test]
fn esm_58a_full_batches_go_at_once_and_the_rest_waits_for_its_window() {
    let mut play = Rehearsal::new(with(|it| {
        it.batch_size = 2;
        it.batching_window = seconds(5);
    }));
    put(&play, 5);
    play.run_for(seconds(30));
    assert_eq!(play.trace(), [vec![1, 2], vec![3, 4], vec![5]]);
    assert_eq!(times(&play), [0, 0, 5_000]);
}
