//! Promises G1 to G6 against a tiny model of Lambda's rule, over random histories.

mod support;

use std::{collections::HashSet, num::NonZeroUsize, sync::Arc, time::Duration};

use anabranch::{
    dispatch::Dispatcher,
    handler::{FunctionExt, HandlerExt},
    idempotency::IdempotentExt,
    record::{KeysOnly, NewAndOldImages, NewImage, OldImage, RawImage, Record, StreamView},
    router::Router,
    sink::{
        dead_letter::{DeadLetter, Memory},
        ledger,
    },
};
use proptest::prelude::*;
use support::{Act, Plan, Shared, Sight, Step, World, deliver_in, expected, number};

/// How the handlers of one record stand together.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Company {
    /// Each on a route of its own.
    Routes,
    /// Side by side on one route.
    And,
    /// The same under one ledger.
    Once,
}

#[derive(Debug, Clone)]
struct History {
    company: Company,
    /// The view of the items that the stream carries.
    view: &'static str,
    steps: Vec<Step>,
    /// What each handler does: every record goes to all of them.
    plans: Vec<Plan>,
    lanes: usize,
    deadline: Option<Duration>,
    dead_letters: bool,
}

impl History {
    /// Whether nothing is ever delivered again.
    fn goes_through(&self) -> bool {
        let acts = self.plans.iter().flat_map(Plan::values).flatten();
        self.deadline.is_none()
            && self.dead_letters
            && acts.map(|(act, _)| act).all(|act| matches!(act, Act::Apply | Act::Reject))
    }
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

fn history(company: Company, handlers: usize) -> impl Strategy<Value = History> {
    let deadline = proptest::option::of((4_u64..20).prop_map(Duration::from_secs));
    let settings = (steps(), view(), 1_usize..20, deadline, any::<bool>());
    settings.prop_flat_map(move |(steps, view, lanes, deadline, dead_letters)| {
        let plans = proptest::collection::vec(plan(steps.len(), dead_letters), handlers);
        plans.prop_map(move |plans| {
            let steps = steps.clone();
            History { company, view, steps, plans, lanes, deadline, dead_letters }
        })
    })
}

/// Histories without another failure than a reject, in whatever company.
fn only_rejects() -> impl Strategy<Value = History> {
    let company = prop::sample::select(vec![Company::Routes, Company::And, Company::Once]);
    company.prop_flat_map(|company| history(company, 3)).prop_map(|mut history| {
        history.plans.iter_mut().flat_map(Plan::values_mut).for_each(|acts| _ = acts.drain(..acts.len() - 1));
        History { deadline: None, dead_letters: true, ..history }
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
    let mut handlers = worlds.iter().zip(&history.plans).map(|(world, plan)| {
        let (world, plan, source) = (world.clone(), Arc::new(plan.clone()), Arc::from(history.steps.clone()));
        let handler =
            move |record: Record<RawImage, V>| world.clone().handle_in(plan.clone(), Arc::clone(&source), record);
        handler.concurrency(lanes)
    });
    let router = Router::<V>::by_key_prefix("PK", '-');
    let router = match (history.company, handlers.len()) {
        (Company::Routes, _) => handlers.fold(router, |router, handler| router.route("item", handler)),
        (company, 3) => {
            let mut next = || handlers.next().expect("three handlers");
            let together = next().and(next().and(next()));
            match company {
                Company::Once => router.route("item", together.idempotent(ledger::Memory::default())),
                _ => router.route("item", together),
            }
        }
        (_, other) => panic!("{other} handlers side by side"),
    };
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
        prop_assert!(!history.goes_through(), "{:?}", report.unfinished);
        prop_assert!(next >= from && next < history.steps.len(), "{} is not in the batch from {}", next, from);
        prop_assert_eq!(done, next - from, "done up to the checkpoint");
        from = next;
    }
    let buried = buried(&letters.letters());
    let mut rejected_by_any = HashSet::new();
    for world in &worlds {
        let rejected = check(history, &world.lock())?;
        prop_assert!(!history.goes_through() || world.lock().started.len() == history.steps.len(), "each once");
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
    fn every_history_ends_with_everything_done_once_in_order(history in history(Company::Routes, 1)) {
        run(&history)?;
    }

    #[test]
    fn so_does_every_history_of_two_handlers(history in history(Company::Routes, 2)) {
        run(&history)?;
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn so_does_every_history_of_three_side_by_side(history in history(Company::And, 3)) {
        run(&history)?;
    }

    #[test]
    fn rejects_alone_have_nothing_delivered_again(history in only_rejects()) {
        run(&history)?;
    }
}
