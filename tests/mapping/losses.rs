//! The ways in which positions and shards are lost, and what the trim policy makes of each.

use std::time::Duration;

use anabranch::{
    pattern::FilterCriteria,
    source::mapping::{Event, FaultKind, MappingError, Settings, StartingPosition, TrimPolicy},
    testing::streams::{Call, Fault, Quirks, Rehearsal},
};

use crate::play::{fail, has, open_shard, put, raising, seconds, settings, with};

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

/// The back end does not know the shard's position, nor the next iterators, and then it does.
fn forget_position(play: &Rehearsal) {
    let mut left = 3;
    play.stream().set_faults(move |call| {
        let reads = !matches!(call, Call::Describe) && left > 0;
        left -= i32::from(reads);
        if reads { Fault::Fail(FaultKind::NotFound) } else { Fault::None }
    });
}

fn no_gap(play: &Rehearsal) -> bool {
    !has(play, |event| matches!(event, Event::Gap { .. })) && play.machine().failure().is_none()
}

/// Two records are handled, one more is written, and then `change` happens to the stream and its position is forgotten.
fn forgotten(policy: TrimPolicy, change: impl Fn(&Rehearsal)) -> Rehearsal {
    let mut play = Rehearsal::new(with(|it| it.trimmed = policy));
    put(&play, 2);
    play.run_for(seconds(1));
    put(&play, 1);
    change(&play);
    forget_position(&play);
    play
}

#[test]
fn records_that_are_trimmed_when_the_position_is_forgotten_fail_or_are_reported() {
    let play = |policy| {
        forgotten(policy, |play| {
            play.stream().trim_all();
            put(play, 1);
        })
    };
    loses(play, &[1, 2, 4]);
    let mut told = play(TrimPolicy::Continue);
    told.run_for(seconds(60));
    let after = Some(told.stream().sequence(2).into());
    let gap = Event::Gap { shard: open_shard(&told), after };
    assert!(has(&told, |event| *event == gap), "behind the last record that was read");
}

#[test]
fn a_forgotten_position_with_nothing_behind_it_any_more_fails_or_is_reported() {
    loses(|policy| forgotten(policy, |play| play.stream().trim_all()), &[1, 2]);
}

#[test]
fn a_forgotten_position_in_a_shard_that_ended_fails_or_is_reported() {
    let ended = |policy| {
        forgotten(policy, |play| {
            play.stream().roll(&open_shard(play));
            play.stream().trim_all();
            put(play, 1);
        })
    };
    loses(ended, &[1, 2, 4]);
}

#[test]
fn a_forgotten_position_in_a_shard_that_goes_away_meanwhile_fails_or_is_reported() {
    for steps in 0..40 {
        let mut play = forgotten(TrimPolicy::Continue, |play| {
            play.stream().roll(&open_shard(play));
            play.stream().trim_all();
        });
        let begun = play.steps();
        while play.steps() < begun + steps {
            if !play.step() {
                play.run_for(Duration::from_millis(1));
            }
        }
        play.stream().advance(seconds(25 * 3600));
        play.run_for(seconds(600));
        assert!(has(&play, |event| matches!(event, Event::Gap { after: Some(_), .. })), "after {steps} steps");
    }
}

#[test]
fn a_gap_behind_a_forgotten_position_is_not_passed_by_what_the_filter_declines() {
    let pattern = r#"{"eventName":["REMOVE"]}"#;
    let mut play = Rehearsal::new(with(|it| it.filter_criteria = FilterCriteria::parse([pattern]).expect("a pattern")));
    put(&play, 2);
    play.run_for(seconds(1));
    play.stream().trim_all();
    put(&play, 1);
    forget_position(&play);
    play.run_for(seconds(60));
    assert!(play.machine().failure().is_some());
    let kept: Vec<_> = play.checkpoints().values().map(|it| it.sequence.clone()).collect();
    assert_eq!(kept, [Some(play.stream().sequence(2).into())]);
}

#[test]
fn a_forgotten_position_has_no_gap_if_the_last_record_that_was_read_is_still_there() {
    let mut play = Rehearsal::new(settings());
    put(&play, 1);
    play.stream().advance(seconds(20 * 3600));
    put(&play, 1);
    play.run_for(seconds(2));
    play.stream().advance(seconds(5 * 3600));
    assert_eq!(play.stream().placed().len(), 1, "the first one is trimmed");
    put(&play, 1);
    let mut left = 6;
    play.stream().set_faults(move |call| {
        left -= i32::from(!matches!(call, Call::Describe));
        match (call, left) {
            (Call::Describe, _) => Fault::None,
            (_, 3..) => Fault::Fail(FaultKind::NotFound),
            // ESM-58: an empty page says nothing.
            (Call::Records(_), 0..) => Fault::EmptyPage,
            _ => Fault::None,
        }
    });
    play.run_for(seconds(60));
    assert!(has(&play, |event| matches!(event, Event::PositionLost { .. })));
    assert_eq!(play.trace(), [vec![1, 2], vec![3]], "without repeats");
    assert!(no_gap(&play), "{:?}", play.events());
}

#[test]
fn a_forgotten_position_has_no_gap_if_nothing_was_behind_it_a_moment_ago() {
    let mut play = Rehearsal::new(with(|it| it.poll_interval = seconds(10)));
    put(&play, 2);
    play.run_for(seconds(30 * 3600));
    put(&play, 1);
    forget_position(&play);
    play.run_for(seconds(60));
    assert!(has(&play, |event| matches!(event, Event::PositionLost { .. })));
    assert_eq!(play.trace(), [vec![1, 2], vec![3]]);
    assert!(no_gap(&play), "{:?}", play.events());
}

/// As many open shards as one transaction has no room for, whose parents are not listed any more, with a record for about each.
fn many_shards(change: impl FnOnce(&mut Settings)) -> Rehearsal {
    let mut settings = with(|it| it.poll_interval = seconds(2));
    change(&mut settings);
    let play = Rehearsal::new(settings);
    for _ in 0..7 {
        play.stream().open_shards().iter().for_each(|shard| drop(play.stream().split(shard)));
    }
    play.stream().advance(seconds(25 * 3600));
    put(&play, 300);
    play
}

fn delivered(play: &Rehearsal) -> Vec<u64> {
    let mut all = play.trace().concat();
    all.sort_unstable();
    all
}

#[test]
fn a_first_save_that_is_cut_off_is_no_gap() {
    for kept in [0, 1, 100, 127, 128] {
        let mut play = many_shards(|_| {});
        play.crash_in_save(kept);
        assert_eq!(play.checkpoints().len(), kept);
        play.run_for(seconds(60));
        assert!(no_gap(&play), "{kept}: {:?}", play.machine().failure());
        assert!(delivered(&play).into_iter().eq(1..=300), "{kept}");
    }
}

#[test]
fn a_first_save_that_is_cut_off_again_and_again_is_no_gap() {
    let mut play = many_shards(|_| {});
    for _ in 0..12 {
        play.crash_in_save(10);
    }
    assert_eq!(play.checkpoints().len(), 120);
    play.run_for(seconds(60));
    assert!(no_gap(&play), "{:?}", play.machine().failure());
    assert!(delivered(&play).into_iter().eq(1..=300));
}

#[test]
fn a_shard_that_was_never_seen_is_a_gap_once_the_first_save_is_whole() {
    let mut play = many_shards(|_| {});
    play.run_for(seconds(5));
    play.crash();
    for _ in 0..2 {
        play.stream().open_shards().iter().for_each(|shard| drop(play.stream().roll(shard)));
        put(&play, 300);
        play.stream().advance(seconds(25 * 3600));
    }
    play.run_for(seconds(60));
    assert!(has(&play, |event| matches!(event, Event::Gap { after: None, .. })));
    assert!(play.machine().failure().is_some());
}

#[test]
fn esm_57_latest_is_when_the_mapping_began_though_its_first_save_was_cut_off() {
    for (kept, at_timestamp, outage) in
        [(1, true, 0), (100, true, 30), (100, false, 30), (128, true, 0), (200, true, 25)]
    {
        let mut play = many_shards(|it| it.starting_position = StartingPosition::Latest);
        play.stream().set_quirks(Quirks { at_timestamp, ..Quirks::default() });
        if kept > 128 {
            // So that there are shards which have ended, of which nothing is wanted.
            play.stream().open_shards().iter().for_each(|shard| drop(play.stream().roll(shard)));
            put(&play, 100);
        }
        play.stream().advance(seconds(2));
        let before = written(&play);
        play.crash_in_save(kept);
        assert_eq!(play.checkpoints().len(), kept);
        put(&play, 150);
        play.stream().open_shards().iter().take(20).for_each(|shard| drop(play.stream().roll(shard)));
        put(&play, 150);
        play.stream().advance(seconds(outage * 60));
        play.run_for(seconds(200));
        let case = (kept, at_timestamp);
        assert!(no_gap(&play), "{case:?}: {:?}", play.machine().failure());
        assert!(delivered(&play).into_iter().eq(before + 1..=before + 300), "{case:?}: {:?}", delivered(&play));
    }
}

#[test]
fn esm_57_latest_holds_for_a_shard_that_waits_while_the_rest_of_a_first_save_is_kept() {
    let mut play = many_shards(|it| it.starting_position = StartingPosition::Latest);
    // Each has a parent that has ended and is listed, and records of which nothing is wanted.
    play.stream().open_shards().iter().for_each(|shard| drop(play.stream().roll(shard)));
    put(&play, 300);
    play.stream().advance(seconds(2));
    let before = written(&play);
    play.crash_in_save(50);
    put(&play, 150);
    // The parents are begun in its place, and the first of them are finished, which is kept; their children are not yet.
    while !play.checkpoints().values().any(|it| it.finished) {
        if !play.step() {
            play.stream().advance(Duration::from_millis(1));
        }
    }
    play.crash_in_save(0);
    play.run_for(seconds(60));
    assert!(no_gap(&play), "{:?}", play.machine().failure());
    assert!(delivered(&play).into_iter().eq(before + 1..=before + 150), "{:?}", delivered(&play));
    assert!(play.checkpoints().values().any(|it| it.beginning.is_none()), "it is whole by now");
}

/// The number of the last record that was written.
fn written(play: &Rehearsal) -> u64 {
    play.stream().placed().into_iter().map(|(number, _)| number).max().unwrap_or(0)
}

#[test]
fn a_whole_first_save_says_so_soon_and_one_checkpoint_at_once() {
    let mut play = many_shards(|_| {});
    play.crash_in_save(128);
    assert!(play.checkpoints().values().all(|it| it.beginning.is_some()), "it may be a part");
    play.run_for(seconds(5));
    assert!(play.checkpoints().values().all(|it| it.beginning.is_none()));
    let mut single = Rehearsal::new(settings());
    single.crash_in_save(1);
    assert!(single.checkpoints().values().all(|it| it.beginning.is_none()));
}
