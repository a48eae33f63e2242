//! Promises G1 to G6 against a tiny model of Lambda's rule, over random histories.

mod support;

use std::{collections::HashSet, num::NonZeroUsize, sync::Arc, time::Duration};

use anabranch::{
    dispatch::Dispatcher,
    handler::FunctionExt,
    record::{KeysOnly, NewAndOldImages, NewImage, OldImage, RawImage, Record, StreamView},
    router::Router,
    sink::dead_letter::{DeadLetter, Memory},
};
use proptest::prelude::*;
use support::{Act, Plan, Shared, Sight, Step, World, deliver_in, expected, number};

#[derive(Debug, Clone)]
struct History {
    /// The view of the items that the stream carries.
    view: &'static str,
    steps: Vec<Step>,
    /// What each handler does: every record goes to all of them.
    plans: Vec<Plan>,
    lanes: usize,
    deadline: Option<Duration>,
    dead_letters: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0_u8..5, proptest::option::weighted(0.8, 0_u64..1000));
    proptest::collection::vec(step.prop_map(|(item, value)| Step { item, value }), 1..60)
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => Just(Act::Apply),
        2 => Just(Act::Retry),
        2 => Just(Act::ApplyThenRetry),
        1 => Just(Act::Panic),
    ]
}

/// A few deliveries that may go wrong, and then one that does not; or a poisonous record for ever.
fn acts() -> impl Strategy<Value = Vec<(Act, Duration)>> {
    let time = (0_u64..400).prop_map(Duration::from_millis);
    let ends = prop_oneof![9 => Just(Act::Apply), 1 => Just(Act::Reject)];
    (proptest::collection::vec((act(), time.clone()), 0..4), ends, time).prop_map(|(mut acts, end, time)| {
        if end == Act::Reject {
            acts.clear();
        }
        acts.push((end, time));
        acts
    })
}

fn plan(steps: usize, dead_letters: bool) -> impl Strategy<Value = Plan> {
    proptest::collection::hash_map(0..steps, acts(), 0..steps.min(20) + 1).prop_map(move |mut plan| {
        // Without a sink a reject is a retry for ever, which is another test's business.
        plan.retain(|_, acts| dead_letters || acts.iter().all(|(act, _)| *act != Act::Reject));
        plan
    })
}

fn history(handlers: usize) -> impl Strategy<Value = History> {
    let deadline = proptest::option::of((4_u64..20).prop_map(Duration::from_secs));
    let settings = (steps(), view(), 1_usize..20, deadline, any::<bool>());
    settings.prop_flat_map(move |(steps, view, lanes, deadline, dead_letters)| {
        let plans = proptest::collection::vec(plan(steps.len(), dead_letters), handlers);
        plans.prop_map(move |plans| History { view, steps: steps.clone(), plans, lanes, deadline, dead_letters })
    })
}

fn view() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![KeysOnly::NAME, NewImage::NAME, OldImage::NAME, NewAndOldImages::NAME])
}

fn dispatcher(history: &History, worlds: &[Shared], letters: &Arc<Memory>) -> Dispatcher {
    match history.view {
        KeysOnly::NAME => dispatcher_of::<KeysOnly>(history, worlds, letters),
        NewImage::NAME => dispatcher_of::<NewImage>(history, worlds, letters),
        OldImage::NAME => dispatcher_of::<OldImage>(history, worlds, letters),
        _ => dispatcher_of::<NewAndOldImages>(history, worlds, letters),
    }
}

fn dispatcher_of<V: Sight>(history: &History, worlds: &[Shared], letters: &Arc<Memory>) -> Dispatcher {
    let lanes = NonZeroUsize::new(history.lanes).expect("at least one");
    let mut router = Router::<V>::by_key_prefix("PK", '-');
    for (world, plan) in worlds.iter().zip(&history.plans) {
        let (world, plan, source) = (world.clone(), Arc::new(plan.clone()), Arc::from(history.steps.clone()));
        let handler =
            move |record: Record<RawImage, V>| world.clone().handle_in(plan.clone(), Arc::clone(&source), record);
        router = router.route("item", handler.concurrency(lanes));
    }
    match history.dead_letters {
        true => Dispatcher::with_dead_letters(router, letters.clone()),
        false => Dispatcher::new(router),
    }
}

fn buried(letters: &[DeadLetter]) -> HashSet<usize> {
    letters.iter().map(|letter| number(letter.sequence_number.as_deref().expect("readable"))).collect()
}

async fn play(history: &History) -> Result<(), TestCaseError> {
    let letters = Arc::new(Memory::default());
    let worlds: Vec<_> = history.plans.iter().map(|_| Shared::with(letters.clone())).collect();
    let dispatcher = dispatcher(history, &worlds, &letters);
    let mut from = 0;
    for _ in 0..2000 {
        worlds.iter().for_each(Shared::next_delivery);
        let (report, next) = deliver_in(history.view, &dispatcher, &history.steps, from, history.deadline).await;
        let done = report.applied + report.skipped_total() + report.dead_lettered;
        prop_assert_eq!(done + report.redelivered, report.read, "every record that was read is counted once");
        prop_assert!(report.complete || next.is_some(), "a batch that was not finished must be reported");
        let Some(next) = next else { break };
        prop_assert!(next >= from && next < history.steps.len(), "{} is not in the batch from {}", next, from);
        prop_assert_eq!(done, next - from, "done up to the checkpoint");
        from = next;
    }
    let buried = buried(&letters.letters());
    let mut rejected_by_any = HashSet::new();
    for world in &worlds {
        let rejected = check(history, &world.lock())?;
        rejected_by_any.extend(rejected);
    }
    prop_assert_eq!(buried, rejected_by_any, "what a handler rejected is a dead letter, and nothing else");
    Ok(())
}

/// What one handler must have seen and done; gives the changes that it rejected.
fn check(history: &History, world: &World) -> Result<HashSet<usize>, TestCaseError> {
    prop_assert_eq!(&world.broken, &Vec::<String>::new());
    let started: HashSet<usize> = world.started.iter().copied().collect();
    prop_assert_eq!(started.len(), history.steps.len(), "every change reached the handler");
    let applied: HashSet<usize> = world.applied.iter().copied().collect();
    let rejected: HashSet<usize> = started.difference(&applied).copied().collect();
    prop_assert!(rejected.iter().all(|n| world.rejects.contains(n)), "what was not applied was rejected");
    prop_assert!(applied.is_disjoint(&world.rejects), "no change is both");
    prop_assert_eq!(&world.rows, &expected(&history.steps, &rejected), "the target agrees with the table");
    Ok(rejected)
}

fn run(history: &History) -> Result<(), TestCaseError> {
    std::panic::set_hook(Box::new(|info| {
        // Planned panics are part of the histories; all others are news.
        if info.payload_as_str() != Some("planned panic") {
            eprintln!("{info}");
        }
    }));
    let clock = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    clock.expect("a runtime").block_on(play(history))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_ends_with_everything_done_once_in_order(history in history(1)) {
        run(&history)?;
    }

    #[test]
    fn so_does_every_history_of_two_handlers(history in history(2)) {
        run(&history)?;
    }
}
