//! Promises G1 to G6 against a tiny model of Lambda's rule, over random histories.

mod support;

use std::{collections::HashSet, num::NonZeroUsize, sync::Arc, time::Duration};

use anabranch::{
    dispatch::Dispatcher,
    handler::FunctionExt,
    record::Record,
    router::Router,
    sink::dead_letter::{DeadLetter, Memory},
};
use proptest::prelude::*;
use support::{Act, Plan, Shared, Step, deliver, expected, number};

#[derive(Debug, Clone)]
struct History {
    steps: Vec<Step>,
    plan: Plan,
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

fn history() -> impl Strategy<Value = History> {
    let deadline = proptest::option::of((4_u64..20).prop_map(Duration::from_secs));
    (steps(), 1_usize..20, deadline, any::<bool>()).prop_flat_map(|(steps, lanes, deadline, dead_letters)| {
        let plan = proptest::collection::hash_map(0..steps.len(), acts(), 0..steps.len().min(20) + 1);
        plan.prop_map(move |mut plan| {
            if !dead_letters {
                // Without a sink a reject is a retry for ever, which is another test's business.
                plan.retain(|_, acts| acts.iter().all(|(act, _)| *act != Act::Reject));
            }
            History { steps: steps.clone(), plan, lanes, deadline, dead_letters }
        })
    })
}

fn dispatcher(history: &History, world: &Shared, letters: &Arc<Memory>) -> Dispatcher {
    let (world, plan) = (world.clone(), Arc::new(history.plan.clone()));
    let handler = move |record: Record<support::Row>| world.clone().handle(plan.clone(), record);
    let lanes = NonZeroUsize::new(history.lanes).expect("at least one");
    let router = Router::by_attribute("entityType").route("ROW", handler.concurrency(lanes));
    match history.dead_letters {
        true => Dispatcher::with_dead_letters(router, letters.clone()),
        false => Dispatcher::new(router),
    }
}

fn rejected(letters: &[DeadLetter]) -> HashSet<usize> {
    letters.iter().map(|letter| number(letter.sequence_number.as_deref().expect("readable"))).collect()
}

async fn play(history: &History) -> Result<(), TestCaseError> {
    let (world, letters) = (Shared::default(), Arc::new(Memory::default()));
    let dispatcher = dispatcher(history, &world, &letters);
    let mut from = 0;
    for _ in 0..2000 {
        let (report, next) = deliver(&dispatcher, &world, &history.steps, from, history.deadline).await;
        let counted = report.applied + report.skipped_total() + report.dead_lettered + report.redelivered;
        prop_assert_eq!(counted, report.read, "every record that was read is counted once");
        prop_assert!(report.complete || next.is_some(), "a batch that was not finished must be reported");
        let Some(next) = next else { break };
        prop_assert!(next >= from && next < history.steps.len(), "{} is not in the batch from {}", next, from);
        prop_assert_eq!(
            report.applied + report.skipped_total() + report.dead_lettered,
            next - from,
            "done up to the checkpoint"
        );
        from = next;
    }
    let world = world.lock();
    prop_assert_eq!(&world.broken, &Vec::<String>::new());
    let rejected = rejected(&letters.letters());
    let started: HashSet<usize> = world.started.iter().copied().collect();
    prop_assert_eq!(started.len(), history.steps.len(), "every change reached the handler");
    let applied: HashSet<usize> = world.applied.iter().copied().collect();
    for n in 0..history.steps.len() {
        prop_assert!(applied.contains(&n) != rejected.contains(&n), "change {} ends in exactly one state", n);
    }
    prop_assert_eq!(&world.rows, &expected(&history.steps, &rejected), "the target agrees with the table");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_history_ends_with_everything_done_once_in_order(history in history()) {
        let clock = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        std::panic::set_hook(Box::new(|info| {
            // Planned panics are part of the histories; all others are news.
            if info.payload_as_str() != Some("planned panic") {
                eprintln!("{info}");
            }
        }));
        clock.expect("a runtime").block_on(play(&history))?;
    }
}
