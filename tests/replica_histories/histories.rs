//! Random histories, and one with every crash that there can be.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use crate::{
    Dice, each_seed,
    play::{Kind, Takes, World, items},
    staged::Fate,
};

const TAKES: [Takes; 3] = [Takes::All, Takes::Wanted, Takes::Routed];

/// How many there are in an ordinary test run.
const HISTORIES: u64 = 20_000;

fn fate(dice: &mut Dice) -> Fate {
    match dice.below(100) {
        0..6 => Fate::FailsBefore,
        6..12 => Fate::FailsAfter,
        12..19 => Fate::StandsBefore,
        19..26 => Fate::StandsAfter,
        _ => Fate::Passes,
    }
}

fn act(world: &mut World, dice: &mut Dice) {
    match dice.below(22) {
        0..8 => {
            let value = dice.chance(65).then(|| dice.next() % 1_000);
            world.change(dice.below(items()), value);
        }
        8..13 => {
            let twice = dice.chance(30).then(|| dice.below(6));
            world.deliver(1 + dice.below(6), twice);
        }
        13 => world.replay(dice.below(16), 1 + dice.below(6)),
        14 => world.read_page(),
        15..17 => world.apply_page(dice.below(4), dice.chance(50)),
        17..19 => world.resume(dice.below(4)),
        19 => world.redrive(dice.below(16), 1 + dice.below(2)),
        20 => world.begin_anew(),
        _ => world.crash(dice.below(4)),
    }
}

/// A history, from its seed alone.
fn play(seed: u64) {
    let mut dice = Dice::new(seed);
    let takes = [Takes::All, Takes::All, Takes::Wanted, Takes::Routed][dice.below(4)];
    let kind = Kind { tombstones: dice.chance(50), takes, targets: 1 + usize::from(dice.chance(20)) };
    let initial: Vec<usize> = (0..items()).filter(|_| dice.chance(40)).collect();
    let (mut fates, calls) = (Dice::new(dice.next()), Arc::new(AtomicUsize::new(0)));
    let (counted, faulty) = (Arc::clone(&calls), 8 + dice.below(40));
    let mut world = World::new(kind, &initial, move || {
        if counted.fetch_add(1, Relaxed) < faulty { fate(&mut fates) } else { Fate::Passes }
    });
    let (actions, scan) = (4 + dice.below(18), dice.below(9));
    for n in 0..actions {
        if n == scan.min(actions - 1) {
            world.read_page();
        }
        act(&mut world, &mut dice);
    }
    // Nothing fails for ever, and everything is delivered in the end; what stands still may go on even later.
    calls.store(faulty, Relaxed);
    while !world.is_up_to_date() {
        world.deliver(1 + dice.below(6), None);
        world.apply_page(dice.below(4), dice.chance(50));
    }
    while world.standing() > 0 {
        if dice.chance(70) {
            world.resume(dice.below(4))
        } else {
            world.crash(dice.below(4))
        }
        while !world.is_up_to_date() {
            world.apply_page(0, true);
        }
    }
    world.sweep();
    world.check();
}

#[test]
fn every_history_ends_with_the_table() {
    each_seed(HISTORIES, play);
}

/// A history in which everything happens, with one fate for one of its requests. Answers with how many requests there were.
fn story(kind: Kind, at: usize, fate: Fate, goes_on: bool) -> usize {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let mut world = World::new(kind, &[0, 1], move || match counted.fetch_add(1, Relaxed) {
        n if n == at => fate,
        _ => Fate::Passes,
    });
    world.read_page();
    world.change(0, None);
    world.change(1, Some(7));
    world.change(2, Some(6));
    world.deliver(2, None);
    world.apply_page(0, true);
    world.read_page();
    world.change(2, Some(8));
    world.change(0, Some(4));
    world.change(1, Some(9));
    world.deliver(3, Some(1));
    world.change(2, None);
    world.change(0, None);
    world.change(0, Some(5));
    world.deliver(9, None);
    world.apply_page(0, false);
    world.replay(1, 4);
    while !world.is_up_to_date() {
        world.deliver(4, None);
        world.apply_page(0, true);
    }
    if goes_on {
        world.resume(0)
    } else {
        world.crash(0)
    }
    while !world.is_up_to_date() {
        world.apply_page(0, true);
    }
    world.sweep();
    world.check();
    assert_eq!(world.changes(), 9);
    asked.load(Relaxed)
}

#[test]
fn a_crash_before_or_after_any_request_changes_nothing() {
    for (tombstones, takes) in [true, false].into_iter().flat_map(|it| TAKES.map(|takes| (it, takes))) {
        let kind = Kind { tombstones, takes, targets: 1 };
        let requests = story(kind, usize::MAX, Fate::Passes, false);
        assert!(requests > 10, "{requests}");
        for at in 0..requests {
            for fate in [Fate::FailsBefore, Fate::FailsAfter, Fate::StandsBefore, Fate::StandsAfter] {
                for goes_on in [true, false] {
                    story(kind, at, fate, goes_on);
                }
            }
        }
    }
}
