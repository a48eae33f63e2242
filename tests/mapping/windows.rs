//! Tumbling windows.

use std::time::Duration;

use anabranch::{
    source::mapping::{Answer, Settings, TrimPolicy},
    testing::streams::Rehearsal,
};
use serde_json::{Value, json};

use crate::play::{open_shard, put, seconds, with};

fn tumbling(change: impl FnOnce(&mut Settings)) -> Rehearsal {
    let mut settings = with(|it| it.tumbling_window = Some(seconds(10)));
    change(&mut settings);
    let mut play = Rehearsal::new(settings);
    play.set_function(|invocation| {
        let event = invocation.json();
        let before = event["state"]["count"].as_u64().unwrap_or(0);
        Answer::returned(json!({ "state": { "count": before + invocation.sequences.len() as u64 } }).to_string())
    });
    play
}

/// Of each invocation: its records, the state it got, whether it is final, whether early.
fn story(play: &Rehearsal) -> Vec<(Vec<u64>, Value, bool, bool)> {
    let one = |it: &anabranch::testing::streams::Invocation| {
        let event = it.json();
        let flag = |name: &str| event[name].as_bool().expect("a flag");
        let flags = (flag("isFinalInvokeForWindow"), flag("isWindowTerminatedEarly"));
        (it.records(), event["state"].clone(), flags.0, flags.1)
    };
    play.invocations().iter().map(one).collect()
}

#[test]
fn esm_50_an_event_has_its_window() {
    let mut play = tumbling(|_| {});
    play.run_for(seconds(13));
    put(&play, 1);
    play.run_for(seconds(1));
    let event = play.invocations()[0].json();
    assert_eq!(event["window"], json!({ "start": "2026-11-21T02:40:10Z", "end": "2026-11-21T02:40:20Z" }));
    assert_eq!((&event["state"], &event["eventSourceARN"]), (&json!({}), &json!(play.stream().arn())));
    assert_eq!(event["shardId"], json!(*play.invocations()[0].shard));
    assert_eq!((&event["isFinalInvokeForWindow"], &event["isWindowTerminatedEarly"]), (&json!(false), &json!(false)));
}

#[test]
fn esm_51_the_state_is_carried_on_and_must_be_in_the_answer() {
    let mut play = tumbling(|it| {
        it.batch_size = 2;
        it.maximum_retry_attempts = Some(0);
        it.failure_destination = true;
    });
    put(&play, 4);
    play.run_for(seconds(1));
    assert_eq!(
        story(&play),
        [(vec![1, 2], json!({}), false, false), (vec![3, 4], json!({ "count": 2 }), false, false)]
    );
    play.set_function(|_| Answer::returned("{}"));
    put(&play, 1);
    play.run_for(seconds(1));
    assert_eq!(play.failures().len(), 1);
}

#[test]
fn esm_51_item_failures_and_state_come_together() {
    let mut play = tumbling(|it| it.report_item_failures = true);
    let mut first = true;
    play.set_function(move |invocation| {
        let failures = if std::mem::replace(&mut first, false) {
            json!([{ "itemIdentifier": invocation.sequences[1] }])
        } else {
            json!([])
        };
        Answer::returned(json!({ "state": { "seen": "one" }, "batchItemFailures": failures }).to_string())
    });
    put(&play, 2);
    play.run_for(seconds(1));
    assert_eq!(
        story(&play),
        [(vec![1, 2], json!({}), false, false), (vec![2], json!({ "seen": "one" }), false, false)]
    );
}

#[test]
fn esm_52_and_53_a_record_of_a_later_window_closes_the_one_that_is_open() {
    let mut play = tumbling(|_| {});
    for _ in 0..2 {
        put(&play, 2);
        play.run_for(seconds(10));
    }
    put(&play, 1);
    play.run_for(seconds(100));
    assert_eq!(
        story(&play),
        [
            (vec![1, 2], json!({}), false, false),
            (vec![], json!({ "count": 2 }), true, false),
            (vec![3, 4], json!({}), false, false),
            (vec![], json!({ "count": 2 }), true, false),
            (vec![5], json!({}), false, false),
        ],
        "the last window stays open as long as nothing comes"
    );
    let windows: Vec<_> = play.invocations().iter().map(|it| it.json()["window"]["start"].clone()).collect();
    assert_eq!(windows[0], windows[1]);
    assert_ne!(windows[1], windows[2]);
}

#[test]
fn esm_52_a_batch_does_not_reach_over_windows() {
    let mut play = tumbling(|it| it.batching_window = seconds(60));
    put(&play, 2);
    play.run_for(seconds(10));
    put(&play, 2);
    play.run_for(seconds(100));
    let records: Vec<_> = story(&play).into_iter().map(|(records, ..)| records).collect();
    assert_eq!(records, [vec![1, 2], vec![], vec![3, 4]]);
}

#[test]
fn esm_53_windows_close_on_idle_time_if_that_is_switched_on() {
    let mut play = tumbling(|it| it.idle_window_close = Some(seconds(5)));
    put(&play, 1);
    play.run_for(seconds(14));
    assert_eq!(play.invocations().len(), 1);
    play.run_for(seconds(100));
    assert_eq!(story(&play)[1], (vec![], json!({ "count": 1 }), true, false));
    assert_eq!(play.invocations().len(), 2);
}

#[test]
fn esm_54_a_state_of_more_than_a_megabyte_ends_its_window_at_once() {
    let mut play = tumbling(|_| {});
    play.set_function(|_| Answer::returned(json!({ "state": { "text": "x".repeat(1 << 20) } }).to_string()));
    put(&play, 1);
    play.run_for(seconds(1));
    let story = story(&play);
    assert_eq!(story.len(), 2);
    let (records, state, last, early) = &story[1];
    assert!(records.is_empty() && *last && *early);
    assert_eq!(state["text"].as_str().map(str::len), Some(1 << 20), "complete");
    play.set_function(|_| Answer::returned(r#"{"state":{}}"#));
    put(&play, 1);
    play.run_for(seconds(1));
    assert_eq!(play.invocations()[2].json()["state"], json!({}));
    assert_eq!(play.invocations()[2].json()["window"], play.invocations()[0].json()["window"]);
}

/// Two windows, of which the first one is due to be closed; its final invocation fails.
fn due_to_fail(retries: Option<u32>) -> Rehearsal {
    let mut play = tumbling(|it| {
        it.maximum_retry_attempts = retries;
        it.failure_destination = true;
    });
    play.set_function(|invocation| match invocation.sequences.is_empty() {
        true => Answer::failed("told to"),
        false => Answer::returned(r#"{"state":{"a":1}}"#),
    });
    put(&play, 1);
    play.run_for(seconds(10));
    put(&play, 1);
    play
}

fn failing_final(retries: Option<u32>) -> Rehearsal {
    let mut play = due_to_fail(retries);
    play.run_for(seconds(100));
    play
}

#[test]
fn esm_55_a_failing_final_invocation_is_discarded_once_and_the_shard_goes_on() {
    let play = failing_final(Some(0));
    let records: Vec<_> = story(&play).into_iter().map(|(records, ..)| records).collect();
    assert_eq!(records, [vec![1], vec![], vec![2]]);
    assert_eq!(play.failures().len(), 1);
    let failure = &play.failures()[0];
    let object: Value = serde_json::from_str(&failure.object()).unwrap();
    assert_eq!(object["requestContext"]["approximateInvokeCount"], 1);
    let batch = object["DDBStreamBatchInfo"].as_object().unwrap();
    assert_eq!(batch.keys().collect::<Vec<_>>(), ["shardId", "streamArn"]);
    assert_eq!(
        object["timeWindowInfo"],
        json!({
            "window": { "start": "2026-11-21T02:40:00Z", "end": "2026-11-21T02:40:10Z" },
            "isFinalInvokeForWindow": true,
            "isWindowTerminatedEarly": false,
        })
    );
    let payload: Value = serde_json::from_str(object["payload"].as_str().unwrap()).unwrap();
    assert_eq!(payload.as_object().unwrap().len(), 7, "all the fields of the event");
    assert_eq!(payload["state"], json!({ "a": 1 }));
}

#[test]
fn esm_55_a_failing_final_invocation_is_reported_though_it_was_stopped_meanwhile() {
    let mut play = due_to_fail(Some(0));
    play.set_latency(seconds(5));
    play.run_for(seconds(2));
    play.disable();
    play.run_for(seconds(60));
    assert!(play.machine().is_quiet());
    assert_eq!((play.trace(), play.failures().len()), (vec![vec![1], vec![]], 0), "it was stopped before the report");
    play.enable();
    play.run_for(seconds(60));
    assert_eq!(play.failures().len(), 1);
    assert_eq!(play.trace(), [vec![1], vec![], vec![], vec![2]]);
}

#[test]
fn esm_55_a_failing_final_invocation_is_reported_whenever_the_process_dies() {
    for step in 0..10 {
        for seed in 0..32 {
            let mut play = due_to_fail(Some(0)).shuffled(seed);
            let begun = play.steps();
            while play.steps() < begun + step {
                if !play.step() {
                    play.run_for(Duration::from_millis(1));
                }
            }
            play.crash();
            play.run_for(seconds(100));
            assert!(!play.failures().is_empty(), "step {step}, seed {seed}");
            assert_eq!(play.trace().last(), Some(&vec![2]), "step {step}, seed {seed}");
        }
    }
}

#[test]
fn esm_55_with_unlimited_retries_it_suspends_the_shard() {
    let play = failing_final(None);
    assert!(play.trace().iter().skip(1).all(Vec::is_empty), "the second record waits");
    assert!(play.trace().len() > 5 && play.failures().is_empty());
}

#[test]
fn esm_55_the_end_of_a_shard_closes_its_window_and_children_begin_afresh() {
    let mut play = tumbling(|_| {});
    put(&play, 1);
    play.run_for(seconds(1));
    let shard = play.stream().open_shards()[0].clone();
    play.stream().roll(&shard);
    put(&play, 1);
    play.run_for(seconds(5));
    assert_eq!(
        story(&play),
        [
            (vec![1], json!({}), false, false),
            (vec![], json!({ "count": 1 }), true, false),
            (vec![2], json!({}), false, false),
        ]
    );
    assert_ne!(play.invocations()[1].shard, play.invocations()[2].shard);
}

/// A window is open in a shard that ends, and is not there any more after a day.
fn window_of_a_gone_shard(policy: TrimPolicy) -> Rehearsal {
    let mut play = tumbling(|it| it.trimmed = policy);
    put(&play, 1);
    play.run_for(seconds(1));
    play.stream().roll(&open_shard(&play));
    play.stream().advance(seconds(25 * 3600));
    put(&play, 1);
    play
}

#[test]
fn esm_55_the_window_of_a_shard_that_is_gone_is_closed_before_its_children_begin() {
    for crash in [false, true] {
        let mut play = window_of_a_gone_shard(TrimPolicy::Continue);
        if crash {
            play.crash();
        }
        play.run_for(seconds(60));
        let expected = [
            (vec![1], json!({}), false, false),
            (vec![], json!({ "count": 1 }), true, false),
            (vec![2], json!({}), false, false),
        ];
        assert_eq!(story(&play), expected, "{crash}");
        let shards: Vec<_> = play.invocations().iter().map(|it| it.shard.clone()).collect();
        assert!(shards[0] == shards[1] && shards[1] != shards[2], "{crash}: {shards:?}");
        play.crash();
        play.run_for(seconds(60));
        assert_eq!(story(&play).len(), 3, "{crash}: once");
    }
}

#[test]
fn esm_55_the_window_of_a_shard_that_is_gone_waits_until_the_gap_is_accepted() {
    let mut play = window_of_a_gone_shard(TrimPolicy::Fail);
    for _ in 0..2 {
        play.crash();
        play.run_for(seconds(60));
        assert!(play.machine().failure().is_some() && play.trace() == [[1]]);
    }
    play.set_trim_policy(TrimPolicy::Continue);
    play.crash();
    play.run_for(seconds(60));
    assert_eq!(play.trace(), [vec![1], vec![], vec![2]]);
}

#[test]
fn esm_55_the_window_of_a_shard_that_is_gone_is_closed_whenever_the_process_dies() {
    for step in 0..16 {
        for seed in 0..16 {
            let mut play = window_of_a_gone_shard(TrimPolicy::Continue).shuffled(seed);
            play.crash();
            let begun = play.steps();
            while play.steps() < begun + step {
                if !play.step() {
                    play.run_for(Duration::from_millis(1));
                }
            }
            play.crash();
            play.run_for(seconds(60));
            let mut trace = play.trace();
            trace.dedup();
            assert_eq!(trace, [vec![1], vec![], vec![2]], "step {step}, seed {seed}");
        }
    }
}

#[test]
fn the_open_window_outlives_a_restart() {
    let mut play = tumbling(|_| {});
    put(&play, 3);
    play.run_for(seconds(1));
    play.crash();
    put(&play, 1);
    play.run_for(seconds(1));
    assert_eq!(story(&play)[1], (vec![4], json!({ "count": 3 }), false, false));
}
