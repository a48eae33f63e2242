//! Everything at once: random histories of shards, faults, functions and crashes, by seed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use anabranch::{
    source::mapping::{Answer, FaultKind, Settings, StartingPosition, TrimPolicy},
    testing::streams::{Call, ChildShards, Fault, Invocation, Quirks, Rehearsal, StreamSimulator},
};

use crate::play::{naming, seconds, with};

/// Random numbers by a seed.
struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (word ^ (word >> 31)) % sides
    }
}

/// What the function has done, as the outside world sees it.
#[derive(Default)]
struct Effects {
    /// Of each item, its records in the order in which they were handled.
    handled: HashMap<String, Vec<u64>>,
    done: BTreeSet<u64>,
}

impl Effects {
    fn handle(&mut self, invocation: &Invocation, count: usize) {
        let event = invocation.json();
        for (record, number) in
            event["Records"].as_array().expect("records").iter().zip(invocation.records()).take(count)
        {
            let item = record["dynamodb"]["Keys"]["PK"]["S"].as_str().expect("a key").to_owned();
            self.handled.entry(item).or_default().push(number);
            self.done.insert(number);
        }
    }
}

/// A world in which everything happens.
struct World {
    play: Rehearsal,
    effects: Arc<Mutex<Effects>>,
    /// Of each item, its records in the order in which they were written.
    written: HashMap<String, Vec<u64>>,
    /// Nothing up to this record is wanted.
    since: u64,
    dice: Dice,
}

impl World {
    fn new(seed: u64, settings: Settings) -> Self {
        let mut play = Rehearsal::new(settings).shuffled(seed);
        let effects = Arc::new(Mutex::new(Effects::default()));
        let (seen, mut dice) = (effects.clone(), Dice(seed ^ 0xF00D));
        play.set_function(move |invocation| {
            let mut effects = seen.lock().expect("no panic under the lock");
            let count = invocation.sequences.len();
            match dice.roll(10) {
                0 => Answer::failed("told to"),
                1 => Answer::not_run("throttled"),
                2 | 3 if count > 0 => {
                    let done = usize::try_from(dice.roll(count as u64)).expect("a small number");
                    effects.handle(invocation, done);
                    naming(invocation, &invocation.records()[done..=done])
                }
                _ => {
                    effects.handle(invocation, count);
                    Answer::returned("")
                }
            }
        });
        Self { play, effects, written: HashMap::new(), since: 0, dice: Dice(seed) }
    }

    /// At `LATEST`, dead in the middle of its first save: of shards whose parents have ended and are listed, and in whose records nothing is
    /// wanted.
    fn latest(seed: u64) -> Self {
        let mut settings = mix(seed);
        settings.starting_position = StartingPosition::Latest;
        let mut world = Self::new(seed, settings);
        for _ in 0..2 {
            world.play.stream().open_shards().iter().for_each(|shard| drop(world.play.stream().split(shard)));
            world.since = (0..20).map(|n| world.play.stream().put(&format!("PET#{n}"))).max().expect("some records");
        }
        world.play.stream().advance(seconds(2));
        let kept = 1 + world.dice.roll(3);
        world.play.crash_in_save(usize::try_from(kept).expect("a small number"));
        world
    }

    fn write(&mut self, count: u64) {
        for _ in 0..count {
            let item = format!("PET#{}", self.dice.roll(12));
            let number = self.play.stream().put(&item);
            self.written.entry(item).or_default().push(number);
        }
    }

    fn reshard(&mut self) {
        let open = self.play.stream().open_shards();
        let shard = &open[usize::try_from(self.dice.roll(open.len() as u64)).expect("a small number")];
        if open.len() < 6 && self.dice.roll(2) == 0 {
            self.play.stream().split(shard);
        } else {
            self.play.stream().roll(shard);
        }
    }

    /// Records of an item are handled in order; what is handled again is handled on from there.
    fn check_order(&self) {
        let effects = self.effects.lock().expect("no panic under the lock");
        let unwanted = effects.done.range(..=self.since).next();
        assert_eq!(unwanted, None, "nothing up to {} is wanted", self.since);
        for (item, handled) in &effects.handled {
            let place: HashMap<_, _> = self.written[item].iter().enumerate().map(|(at, number)| (number, at)).collect();
            let places: Vec<_> = handled.iter().map(|number| place[number]).collect();
            let mut before = None;
            for at in &places {
                let next = before.map_or(0, |before: usize| before + 1);
                assert!(*at <= next, "{item}: {at} after {before:?} in {places:?}");
                before = Some(*at);
            }
        }
    }

    /// No checkpoint is past a record that is not handled.
    fn check_positions(&self, shards: &BTreeMap<u64, String>) {
        let effects = self.effects.lock().expect("no panic under the lock");
        for checkpoint in self.play.checkpoints().values() {
            let position = checkpoint.sequence.as_ref().map_or(0, |it| StreamSimulator::ordinal(it.as_str()));
            let mine = shards.iter().filter(|(_, shard)| ***shard == *checkpoint.shard);
            for (number, _) in mine.filter(|(number, _)| **number <= position || checkpoint.finished) {
                assert!(effects.done.contains(number), "{} is past {number}: {checkpoint:?}", checkpoint.shard);
            }
        }
    }

    fn check_end(&self) {
        let effects = self.effects.lock().expect("no panic under the lock");
        for (item, written) in &self.written {
            let handled: BTreeSet<_> = effects.handled.get(item).into_iter().flatten().collect();
            assert!(written.iter().all(|number| handled.contains(number)), "{item} lost something");
            assert_eq!(effects.handled[item].last(), written.last(), "{item} ends with its last record");
        }
    }

    /// Lives for so many rounds, and comes to rest.
    fn live(&mut self, rounds: u64, crashes: bool) {
        // Which shard has which record: the simulator trims nothing within these hours.
        let mut shards = BTreeMap::new();
        for _ in 0..rounds {
            let count = self.dice.roll(8);
            self.write(count);
            self.note(&mut shards);
            if self.dice.roll(4) == 0 {
                self.reshard();
            }
            match self.dice.roll(6) {
                0 if crashes => self.play.crash(),
                1 => self.play.fail_checkpoints(2),
                2 => self.play.stream().expire_iterators(),
                _ => {}
            }
            for _ in 0..self.dice.roll(30) {
                self.play.step();
                self.check_positions(&shards);
            }
            let wait = self.dice.roll(5);
            self.play.run_for(seconds(wait));
            self.check_positions(&shards);
            self.check_order();
        }
        self.play.run_for(seconds(900));
        self.check_positions(&shards);
        self.check_order();
        self.check_end();
    }

    fn note(&self, shards: &mut BTreeMap<u64, String>) {
        for (number, shard) in self.play.stream().placed().into_iter().filter(|(number, _)| *number > self.since) {
            shards.entry(number).or_insert_with(|| shard.to_string());
        }
    }
}

fn mix(seed: u64) -> Settings {
    with(|it| {
        it.batch_size = 1 + usize::try_from(seed % 7).expect("a small number");
        it.parallelization_factor = 1 + usize::try_from(seed % 3).expect("a small number");
        it.bisect_batch_on_function_error = seed.is_multiple_of(2);
        it.report_item_failures = true;
        it.trimmed = TrimPolicy::Fail;
        it.batching_window = seconds(seed % 2);
        it.poll_interval = seconds(2);
    })
}

fn faults(play: &Rehearsal, seed: u64) {
    let mut dice = Dice(seed ^ 0xBAD);
    play.stream().set_faults(move |call| {
        let kinds = [FaultKind::Throttled, FaultKind::Other, FaultKind::Expired];
        let kind = kinds[usize::try_from(dice.roll(3)).expect("a small number")];
        match (call, dice.roll(12)) {
            (Call::Records(_), 0) => Fault::Fail(kind),
            (Call::Records(_), 1) => Fault::EmptyPage,
            (Call::Records(_), 2) if dice.roll(4) == 0 => Fault::NoNextIterator,
            (Call::Records(_), _) => Fault::None,
            (_, 0) => Fault::Fail(FaultKind::Throttled),
            _ => Fault::None,
        }
    });
}

fn quirks(seed: u64) -> Quirks {
    let child_shards = [ChildShards::Supported, ChildShards::Ignored, ChildShards::Refused];
    Quirks {
        child_shards: child_shards[usize::try_from(seed % 3).expect("a small number")],
        shards_per_page: 2,
        ..Quirks::default()
    }
}

#[test]
fn every_record_is_handled_in_order_whatever_happens() {
    for seed in 0..120 {
        let mut world = World::new(seed, mix(seed));
        world.play.stream().set_quirks(quirks(seed));
        faults(&world.play, seed);
        world.live(12, seed % 4 != 0);
    }
}

/// Writes, dies at this step, and comes to rest.
fn crash_at(step: u64, mut world: World) {
    world.write(20);
    world.reshard();
    world.write(20);
    let mut shards = BTreeMap::new();
    world.note(&mut shards);
    while world.play.steps() < step {
        if !world.play.step() {
            world.play.run_for(seconds(1));
        }
    }
    world.play.crash();
    world.play.run_for(seconds(600));
    world.check_positions(&shards);
    world.check_order();
    world.check_end();
}

#[test]
fn a_crash_at_every_step_loses_nothing() {
    for step in 0..160 {
        crash_at(step, World::new(step, mix(step)));
    }
}

#[test]
fn esm_57_latest_holds_whatever_happens_behind_a_first_save_that_was_cut_off() {
    for step in 0..200 {
        crash_at(step, World::latest(step));
    }
    for seed in 0..40 {
        let mut world = World::latest(seed);
        world.play.stream().set_quirks(quirks(seed));
        faults(&world.play, seed);
        world.live(6, true);
    }
}

#[test]
fn a_thousand_shards_over_days_of_rollovers() {
    let settings = with(|it| {
        it.batch_size = 50;
        it.poll_interval = seconds(60);
        it.discovery_interval = seconds(600);
        it.report_item_failures = true;
    });
    let mut world = World::new(1, settings);
    for _ in 0..5 {
        for shard in world.play.stream().open_shards() {
            world.play.stream().split(&shard);
        }
    }
    let mut created = 63;
    while created < 1_000 {
        for shard in world.play.stream().open_shards() {
            world.play.stream().roll(&shard);
            created += 1;
        }
        world.write(60);
        world.play.run_for(seconds(4 * 3600));
        if created % 5 == 0 {
            world.play.crash();
        }
        world.check_order();
    }
    world.play.run_for(seconds(3600));
    world.check_order();
    world.check_end();
    assert!(world.play.stream().now().as_secs() > 1_795_228_800 + 4 * 24 * 3600, "days have passed");
    let finished = world.play.checkpoints().values().filter(|it| it.finished).count();
    assert_eq!(finished, created - 32, "every shard but the open ones");
}
