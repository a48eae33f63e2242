//! What the demo does with changes besides keeping everything: shows them, and fails once.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anabranch::{
    handler::Failure,
    record::{Change, NewAndOldImages, Record},
    router::Router,
};

use super::{
    pet_tracker::{Activity, Pet},
    script::FLAKY,
    show::Screen,
};

/// Shows changes as they are handled, and watches their order.
#[derive(Clone)]
pub(super) struct Observer {
    screen: Screen,
    has_failed: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    out_of_order: Arc<AtomicBool>,
}

#[derive(Default)]
struct Seen {
    /// The last sequence number of each item that was handled to its end.
    last: HashMap<u64, String>,
    all: HashSet<String>,
}

impl Observer {
    pub(super) fn new(screen: Screen) -> Self {
        Self { screen, has_failed: Arc::default(), seen: Arc::default(), out_of_order: Arc::default() }
    }

    /// Watches the records of a router, beside its handlers. Fails once, at the second change of one pet.
    pub(super) fn watch(&self, router: Router<NewAndOldImages>) -> Router<NewAndOldImages> {
        let (pets, activities) = (self.clone(), self.clone());
        let pet = move |record: Record<Pet>| std::future::ready(pets.pet(&record));
        let activity = move |record: Record<Activity>| {
            activities.activity(&record);
            std::future::ready(())
        };
        router.on(pet).on(activity)
    }

    fn pet(&self, record: &Record<Pet>) -> Result<(), Failure> {
        if let Change::Modify { new, .. } = &record.change
            && new.id == FLAKY
            && !self.has_failed.swap(true, Ordering::Relaxed)
        {
            return Err(Failure::retry("planned failure of the demo"));
        }
        let again = self.note(record);
        let text = match &record.change {
            Change::Insert { new } => format!("{} the {}, {}", new.id, new.species, weight(new)),
            Change::Modify { old, new } if old.species != new.species => format!("{} is a {}", new.id, new.species),
            Change::Modify { old, new } => format!("{} from {} to {}", new.id, weight(old), weight(new)),
            Change::Remove { old } => format!("{} the {}", old.id, old.species),
        };
        self.screen.change(record.event_name(), &text, again);
        Ok(())
    }

    fn activity(&self, record: &Record<Activity>) {
        let again = self.note(record);
        if let Some(Activity { pet, activity_type, minutes, .. }) = record.change.current().or(record.change.previous())
        {
            self.screen.change(record.event_name(), &format!("{pet}: {activity_type} for {minutes} minutes"), again);
        }
    }

    /// Notes a record as handled; whether it was before.
    fn note<T: Send + 'static>(&self, record: &Record<T>) -> bool {
        // The numbers of one shard have one length, so their text order is their order.
        let sequence = format!("{:0>40}", record.sequence_number());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.all.insert(sequence.clone()) {
            return true;
        }
        if seen.last.insert(record.raw().lane(), sequence.clone()).is_some_and(|last| last > sequence) {
            self.out_of_order.store(true, Ordering::Relaxed);
        }
        false
    }

    /// Whether every item's changes were handled in the order in which they happened.
    pub(super) fn in_order(&self) -> bool {
        !self.out_of_order.load(Ordering::Relaxed)
    }
}

fn weight(pet: &Pet) -> String {
    pet.weight_kg.map_or_else(|| "not weighed".to_owned(), |weight| format!("{weight} kg"))
}
