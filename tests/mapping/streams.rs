//! Shards and positions, and what the API makes of them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anabranch::{
    source::mapping::{Event, FaultKind, Position, StartingPosition},
    testing::streams::{Call, ChildShards, Fault, Quirks, Rehearsal},
};

use crate::play::{fail, has, open_shard, put, raising, seconds, settings, with};

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
