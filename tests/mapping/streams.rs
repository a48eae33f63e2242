//! Shards, positions, and the ways in which both are lost.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anabranch::{
    source::mapping::{Event, FaultKind, MappingError, Position, StartingPosition, TrimPolicy},
    testing::streams::{Call, ChildShards, Fault, Quirks, Rehearsal},
};

use crate::play::{put, raising, seconds, settings, with};

fn open_shard(play: &Rehearsal) -> Arc<str> {
    play.stream().open_shards()[0].clone()
}

fn has(play: &Rehearsal, event: impl Fn(&Event) -> bool) -> bool {
    play.events().iter().any(event)
}

/// Faults for the calls that `wanted` picks, by their count from 0.
fn fail(play: &Rehearsal, wanted: impl Fn(&Call, usize) -> Fault + Send + 'static) {
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

#[test]
fn esm_04_disabled_and_enabled_again_it_goes_on_at_the_kept_position() {
    let mut play = Rehearsal::new(settings());
    put(&play, 2);
    play.run_for(seconds(1));
    play.disable();
    put(&play, 2);
    play.run_for(seconds(3600));
    assert_eq!(play.trace(), [[1, 2]], "nothing is delivered while it is disabled");
    assert!(play.machine().is_quiet());
    play.enable();
    play.run_for(seconds(1));
    assert_eq!(play.trace(), [[1, 2], [3, 4]]);
}

#[test]
fn esm_04_what_is_in_flight_finishes_and_what_is_retried_is_released() {
    let mut play = Rehearsal::new(with(|it| it.batch_size = 1));
    play.set_function(raising(&[2]));
    put(&play, 3);
    play.run_for(seconds(10));
    play.disable();
    play.run_for(seconds(10));
    let before = play.trace().len();
    play.run_for(seconds(1000));
    assert_eq!(play.trace().len(), before);
    play.set_function(|_| anabranch::source::mapping::Answer::returned(""));
    play.enable();
    play.run_for(seconds(10));
    assert_eq!(play.trace()[before..], [[2], [3]]);
}

#[test]
fn esm_05_it_stays_enabled_when_its_stream_is_gone() {
    let mut play = Rehearsal::new(settings());
    play.run_for(seconds(5));
    play.stream().delete();
    play.run_for(seconds(600));
    assert_eq!(play.events().iter().filter(|it| **it == Event::StreamGone).count(), 1);
    assert!(play.machine().failure().is_none() && !play.machine().is_quiet());
}

#[test]
fn esm_05_it_stays_enabled_when_its_function_is_gone() {
    let mut play = Rehearsal::new(settings());
    play.set_function(|_| anabranch::source::mapping::Answer::not_run("ResourceNotFoundException"));
    put(&play, 1);
    play.run_for(seconds(600));
    play.set_function(|_| anabranch::source::mapping::Answer::returned(""));
    play.run_for(seconds(60));
    assert_eq!(play.machine().metrics().invoked, 1);
}

#[test]
fn esm_56_a_child_is_read_after_its_parent() {
    for quirk in [ChildShards::Supported, ChildShards::Ignored, ChildShards::Refused] {
        let mut play = Rehearsal::new(with(|it| it.batch_size = 3));
        play.stream().set_quirks(Quirks { child_shards: quirk, ..Quirks::default() });
        put(&play, 7);
        let shard = open_shard(&play);
        let [_, right] = play.stream().split(&shard);
        put(&play, 40);
        play.stream().roll(&right);
        put(&play, 40);
        play.run_for(seconds(30));
        let mut finished = Vec::new();
        for invocation in play.invocations() {
            if finished.last() != Some(&invocation.shard) {
                finished.push(invocation.shard.clone());
            }
        }
        assert_eq!(play.trace().concat().len(), 87, "{quirk:?}");
        assert_eq!(finished[0], shard);
        let of = |shard: &str| finished.iter().position(|it| &**it == shard);
        let child = play.stream().open_shards().into_iter().find(|it| of(it) > of(&right));
        assert!(child.is_some(), "{quirk:?}: the grandchild comes behind its parent");
    }
}

#[test]
fn esm_56_a_parent_that_is_blocked_blocks_its_children() {
    let mut play = Rehearsal::new(settings());
    play.set_function(raising(&[1]));
    put(&play, 1);
    let shard = open_shard(&play);
    play.stream().split(&shard);
    put(&play, 10);
    play.run_for(seconds(3600));
    assert!(play.trace().iter().all(|batch| *batch == [1]));
}

#[test]
fn esm_56_children_are_found_while_it_runs() {
    let mut play = Rehearsal::new(settings());
    put(&play, 1);
    for _ in 0..20 {
        play.run_for(seconds(100));
        play.stream().roll(&open_shard(&play));
        put(&play, 1);
    }
    play.run_for(seconds(10));
    assert_eq!(play.trace().concat().len(), 21);
    let finished = play.checkpoints().values().filter(|checkpoint| checkpoint.finished).count();
    assert_eq!(finished, 20);
    play.crash();
    play.run_for(seconds(100));
    assert_eq!(play.trace().concat().len(), 21, "finished shards are remembered");
}

#[test]
fn esm_56_a_disabled_stream_is_read_to_its_end() {
    let mut play = Rehearsal::new(settings());
    play.run_for(seconds(5));
    put(&play, 3);
    play.stream().disable();
    play.run_for(seconds(200));
    assert_eq!(play.trace(), [[1, 2, 3]]);
    assert!(has(&play, |event| *event == Event::StreamEnded) && play.machine().has_ended());
}

#[test]
fn esm_57_latest_begins_behind_what_is_there_and_reads_children_whole() {
    let mut play = Rehearsal::new(with(|it| it.starting_position = StartingPosition::Latest));
    put(&play, 2);
    play.stream().roll(&open_shard(&play));
    put(&play, 2);
    play.run_for(seconds(5));
    assert!(play.trace().is_empty());
    put(&play, 1);
    play.run_for(seconds(5));
    play.stream().roll(&open_shard(&play));
    put(&play, 1);
    play.run_for(seconds(5));
    assert_eq!(play.trace(), [[5], [6]]);
}

#[test]
fn esm_57_an_idle_shard_keeps_its_latest_position_over_a_restart() {
    for at_timestamp in [true, false] {
        let mut play = Rehearsal::new(with(|it| it.starting_position = StartingPosition::Latest));
        play.stream().set_quirks(Quirks { at_timestamp, ..Quirks::default() });
        put(&play, 2);
        play.stream().advance(seconds(2));
        play.run_for(seconds(5));
        assert!(play.trace().is_empty());
        play.crash();
        put(&play, 2);
        play.run_for(seconds(5));
        assert_eq!(play.trace(), [[3, 4]], "written while it was down");
    }
}

#[test]
fn esm_57_a_latest_iterator_that_expires_loses_nothing() {
    for at_timestamp in [true, false] {
        let mut play = Rehearsal::new(with(|it| it.starting_position = StartingPosition::Latest));
        play.stream().set_quirks(Quirks { at_timestamp, ..Quirks::default() });
        put(&play, 2);
        play.stream().advance(seconds(2));
        play.run_for(seconds(5));
        put(&play, 1);
        play.stream().advance(seconds(1));
        play.stream().expire_iterators();
        play.run_for(seconds(5));
        assert_eq!(play.trace(), [[3]]);
    }
}

#[test]
fn esm_58_an_empty_page_is_no_end() {
    let mut play = Rehearsal::new(settings());
    fail(&play, |call, nth| match call {
        Call::Records(_) if nth % 3 != 2 => Fault::EmptyPage,
        _ => Fault::None,
    });
    put(&play, 5);
    play.run_for(seconds(10));
    assert_eq!(play.trace().concat(), [1, 2, 3, 4, 5]);
}

#[test]
fn esm_58_the_last_page_may_have_records() {
    let mut play = Rehearsal::new(settings());
    put(&play, 3);
    play.stream().roll(&open_shard(&play));
    play.run_for(seconds(5));
    assert_eq!(play.trace(), [[1, 2, 3]]);
    assert!(has(&play, |event| matches!(event, Event::ShardFinished { .. })));
}

#[test]
fn a_page_that_ends_early_on_a_live_shard_is_no_end() {
    let mut play = Rehearsal::new(settings());
    fail(&play, |call, nth| match call {
        Call::Records(_) if nth % 4 == 3 => Fault::NoNextIterator,
        _ => Fault::None,
    });
    for _ in 0..20 {
        put(&play, 1);
        play.run_for(seconds(3));
    }
    assert!(play.trace().concat().into_iter().eq(1..=20));
    assert!(has(&play, |event| matches!(event, Event::ShardReopened { .. })));
}

#[test]
fn an_iterator_may_expire_at_every_read() {
    for expired in 0..30 {
        let mut play = Rehearsal::new(with(|it| it.batch_size = 2));
        fail(&play, move |call, nth| match call {
            Call::Records(_) if nth == expired => Fault::Fail(FaultKind::Expired),
            _ => Fault::None,
        });
        for round in 0..6 {
            put(&play, 3);
            play.run_for(seconds(1));
            if round == 2 {
                play.stream().roll(&open_shard(&play));
            }
        }
        play.run_for(seconds(30));
        assert!(play.trace().concat().into_iter().eq(1..=18), "read {expired}: {:?}", play.trace());
        assert!(has(&play, |event| matches!(event, Event::IteratorExpired { .. })), "read {expired}");
    }
}

#[test]
fn every_call_may_be_throttled_or_fail_now_and_then() {
    for kind in [FaultKind::Throttled, FaultKind::Other, FaultKind::Expired, FaultKind::Trimmed, FaultKind::NotFound] {
        let mut play = Rehearsal::new(with(|it| it.batch_size = 2));
        fail(&play, move |call, nth| match call {
            Call::Describe if matches!(kind, FaultKind::Trimmed | FaultKind::Expired) => Fault::None,
            Call::Iterator(_) if matches!(kind, FaultKind::Trimmed | FaultKind::Expired) => Fault::None,
            _ if nth % 3 == 1 => Fault::Fail(kind),
            _ => Fault::None,
        });
        for _ in 0..6 {
            put(&play, 3);
            play.run_for(seconds(20));
            play.stream().roll(&open_shard(&play));
        }
        play.run_for(seconds(400));
        assert!(play.trace().concat().into_iter().eq(1..=18), "{kind:?}: {:?}", play.trace());
        assert_eq!(play.machine().failure(), None, "{kind:?}");
    }
}

#[test]
fn a_blocked_shard_outlives_its_iterator() {
    let mut play = Rehearsal::new(with(|it| it.batch_size = 2));
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    play.set_function(move |_| match counted.fetch_add(1, Ordering::Relaxed) {
        0..100 => anabranch::source::mapping::Answer::failed("told to"),
        _ => anabranch::source::mapping::Answer::returned(""),
    });
    put(&play, 20);
    play.run_for(seconds(3 * 3600));
    assert!(play.trace()[100..].concat().into_iter().eq(1..=20));
    assert!(has(&play, |event| matches!(event, Event::IteratorExpired { .. })));
}

#[test]
fn a_trim_during_an_outage_fails_or_is_reported() {
    for policy in [TrimPolicy::Fail, TrimPolicy::Continue] {
        let mut play = Rehearsal::new(with(|it| it.trimmed = policy));
        put(&play, 2);
        play.run_for(seconds(1));
        put(&play, 1);
        play.stream().advance(seconds(25 * 3600));
        play.crash();
        put(&play, 1);
        play.run_for(seconds(60));
        let gap = has(&play, |event| matches!(event, Event::Gap { after: Some(_), .. }));
        assert!(gap, "{policy:?}");
        let shard = open_shard(&play);
        let failure = MappingError::Trimmed { stream: play.stream().arn(), shard };
        match policy {
            TrimPolicy::Fail => {
                assert_eq!((play.machine().failure(), play.trace().len()), (Some(&failure), 1));
            }
            TrimPolicy::Continue => {
                assert_eq!((play.machine().failure(), play.trace()), (None, vec![vec![1, 2], vec![4]]));
            }
        }
    }
}

/// Runs under both policies: a gap fails every start until one continues, and is accepted from then on.
fn loses(play: impl Fn(TrimPolicy) -> Rehearsal, handled: &[u64]) {
    let gaps = |play: &Rehearsal| play.events().iter().filter(|it| matches!(it, Event::Gap { .. })).count();
    let mut failing = play(TrimPolicy::Fail);
    for start in 1..=3 {
        failing.run_for(seconds(60));
        let failure = failing.machine().failure();
        assert!(matches!(failure, Some(MappingError::Trimmed { .. })), "start {start}: {failure:?}");
        assert_eq!((failing.trace().concat(), gaps(&failing)), (vec![1, 2], start));
        failing.crash();
    }
    let mut going_on = play(TrimPolicy::Continue);
    going_on.run_for(seconds(60));
    assert_eq!((going_on.machine().failure(), gaps(&going_on)), (None, 1));
    assert_eq!(going_on.trace().concat(), handled);
    going_on.set_trim_policy(TrimPolicy::Fail);
    going_on.crash();
    put(&going_on, 1);
    going_on.run_for(seconds(60));
    assert_eq!((going_on.machine().failure(), gaps(&going_on)), (None, 1), "it is accepted");
    assert_eq!(going_on.trace().concat().len(), handled.len() + 1);
}

#[test]
fn a_shard_that_is_gone_fails_or_is_reported_during_an_outage_or_not() {
    for crash in [true, false] {
        let play = |policy| {
            let mut play = Rehearsal::new(with(|it| it.trimmed = policy));
            put(&play, 2);
            play.run_for(seconds(1));
            put(&play, 1);
            play.stream().roll(&open_shard(&play));
            play.stream().advance(seconds(25 * 3600));
            if crash {
                play.crash();
            }
            put(&play, 1);
            play
        };
        loses(play, &[1, 2, 4]);
    }
}

#[test]
fn a_shard_without_a_position_that_is_trimmed_during_an_outage_fails_or_is_reported() {
    for crash in [true, false] {
        let play = |policy| {
            let mut play = Rehearsal::new(with(|it| it.trimmed = policy));
            put(&play, 2);
            play.run_for(seconds(1));
            play.stream().roll(&open_shard(&play));
            play.run_for(seconds(5));
            assert!(play.checkpoints().values().any(|checkpoint| checkpoint.finished), "the parent");
            put(&play, 3);
            play.stream().advance(seconds(25 * 3600));
            if crash {
                play.crash();
            }
            put(&play, 1);
            play
        };
        loses(play, &[1, 2, 6]);
    }
}

#[test]
fn an_idle_shard_has_no_gap_when_its_last_record_is_trimmed() {
    let mut play = Rehearsal::new(with(|it| it.poll_interval = seconds(10)));
    put(&play, 2);
    play.run_for(seconds(30 * 3600));
    play.crash();
    put(&play, 1);
    play.run_for(seconds(10));
    play.stream().expire_iterators();
    play.run_for(seconds(30));
    assert_eq!(play.trace(), [vec![1, 2], vec![3]]);
    assert!(!has(&play, |event| matches!(event, Event::Gap { .. })));
    assert_eq!(play.machine().failure(), None);
}

#[test]
fn a_tip_with_something_undone_before_it_is_no_position_after_a_stop() {
    let mut play = Rehearsal::new(with(|it| it.batch_size = 1));
    play.set_function(raising(&[2]));
    put(&play, 2);
    play.run_for(seconds(23 * 3600 + 1800));
    play.disable();
    play.run_for(seconds(120));
    play.stream().advance(seconds(3600));
    play.set_function(raising(&[]));
    play.enable();
    put(&play, 1);
    play.run_for(seconds(120));
    assert!(has(&play, |event| matches!(event, Event::Gap { after: Some(_), .. })), "the second record was trimmed");
    assert!(play.machine().failure().is_some());
}

#[test]
fn an_idle_shard_has_no_gap_when_it_is_stopped_while_a_record_is_tried_again() {
    for crash in [false, true] {
        let mut play = Rehearsal::new(with(|it| it.poll_interval = seconds(10)));
        play.set_function(raising(&[3]));
        put(&play, 2);
        play.run_for(seconds(30 * 3600));
        put(&play, 1);
        play.run_for(seconds(60));
        play.disable();
        play.run_for(seconds(120));
        if crash {
            play.crash();
        }
        play.set_function(raising(&[]));
        play.enable();
        play.run_for(seconds(60));
        assert_eq!(play.trace().last(), Some(&vec![3]), "{crash}");
        assert!(!has(&play, |event| matches!(event, Event::Gap { .. })), "{crash}");
    }
}

#[test]
fn a_shard_that_the_back_end_forgets_is_read_from_its_oldest_record_without_repeats() {
    let mut play = Rehearsal::new(settings());
    put(&play, 3);
    play.run_for(seconds(1));
    fail(&play, |call, nth| match call {
        Call::Records(_) if nth < 3 => Fault::Fail(FaultKind::NotFound),
        _ => Fault::None,
    });
    put(&play, 1);
    play.run_for(seconds(60));
    assert_eq!(play.trace(), [vec![1, 2, 3], vec![4]]);
    assert!(has(&play, |event| matches!(event, Event::PositionLost { .. })));
}

#[test]
fn discovery_that_fails_half_way_does_not_stall_what_is_known() {
    let mut play = Rehearsal::new(settings());
    play.stream().set_quirks(Quirks { shards_per_page: 3, ..Quirks::default() });
    for _ in 0..4 {
        for shard in play.stream().open_shards() {
            play.stream().split(&shard);
        }
    }
    put(&play, 50);
    fail(&play, |call, nth| match call {
        Call::Describe if nth % 4 != 0 => Fault::Fail(FaultKind::Throttled),
        _ => Fault::None,
    });
    play.run_for(seconds(3600));
    let mut delivered = play.trace().concat();
    delivered.sort_unstable();
    assert!(delivered.into_iter().eq(1..=50));
    fail(&play, |call, _| match call {
        Call::Describe => Fault::Fail(FaultKind::Other),
        _ => Fault::None,
    });
    put(&play, 50);
    play.run_for(seconds(60));
    assert_eq!(play.trace().concat().len(), 100, "known shards are read although none can be listed");
}

#[test]
fn checkpoints_that_cannot_be_loaded_or_saved_are_tried_again() {
    let mut play = Rehearsal::new(settings());
    play.fail_checkpoints(3);
    put(&play, 1);
    play.run_for(seconds(60));
    play.fail_checkpoints(4);
    put(&play, 1);
    play.run_for(seconds(60));
    assert_eq!(play.trace(), [[1], [2]]);
    let position = play.checkpoints().values().next().unwrap().sequence.clone().unwrap();
    assert!(position.as_str().ends_with("02"));
    assert!(has(&play, |event| matches!(event, Event::CheckpointsFailed { .. })));
}

#[test]
fn open_shards_with_an_ending_number_are_read_on() {
    let mut play = Rehearsal::new(settings());
    play.stream().set_quirks(Quirks { open_shards_have_an_end: true, ..Quirks::default() });
    for _ in 0..3 {
        put(&play, 1);
        play.run_for(seconds(100));
    }
    assert_eq!(play.trace(), [[1], [2], [3]]);
}

#[test]
fn positions_tell_where_a_shard_stands() {
    let mut play = Rehearsal::new(settings());
    play.run_for(seconds(1));
    assert_eq!(play.machine().positions().next().unwrap().1, Position::TrimHorizon);
}
