//! What the demo does with changes, besides replicating them: shows them, and fails once.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anabranch::{
    handler::Failure,
    record::{Change, Entity, Record},
};
use serde::Deserialize;

use super::{script::FLAKY, show::Screen};

/// A pet, as far as the demo reads it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pet {
    #[serde(rename = "SK")]
    id: String,
    species: String,
    weight_kg: f64,
}

/// An activity, as far as the demo reads it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Activity {
    #[serde(rename = "PK")]
    pet: String,
    activity_type: String,
    minutes: u32,
}

impl Entity for Pet {
    const NAME: &'static str = "PET";
}

impl Entity for Activity {
    const NAME: &'static str = "ACTIVITY";
}

/// Shows changes as they are handled, and watches their order.
#[derive(Clone)]
pub(super) struct Observer {
    screen: Screen,
    has_failed: Arc<AtomicBool>,
    /// The last sequence number of each item that was handled to its end.
    handled: Arc<Mutex<HashMap<u64, String>>>,
    out_of_order: Arc<AtomicBool>,
}

impl Observer {
    pub(super) fn new(screen: Screen) -> Self {
        Self { screen, has_failed: Arc::default(), handled: Arc::default(), out_of_order: Arc::default() }
    }

    /// The handler of pets. It fails once, at the second change of one pet.
    pub(super) fn pets(
        &self,
    ) -> impl Fn(Record<Pet>) -> std::future::Ready<Result<(), Failure>> + Send + Sync + 'static {
        let observer = self.clone();
        move |record| std::future::ready(observer.pet(&record))
    }

    /// The handler of activities.
    pub(super) fn activities(&self) -> impl Fn(Record<Activity>) -> std::future::Ready<()> + Send + Sync + 'static {
        let observer = self.clone();
        move |record| {
            observer.activity(&record);
            std::future::ready(())
        }
    }

    fn pet(&self, record: &Record<Pet>) -> Result<(), Failure> {
        if let Change::Modify { new, .. } = &record.change
            && new.id == FLAKY
            && !self.has_failed.swap(true, Ordering::Relaxed)
        {
            return Err(Failure::retry("planned failure of the demo"));
        }
        self.note(record);
        let text = match &record.change {
            Change::Insert { new } => format!("{} the {}, {} kg", new.id, new.species, new.weight_kg),
            Change::Modify { old, new } => format!("{} from {} kg to {} kg", new.id, old.weight_kg, new.weight_kg),
            Change::Remove { old } => format!("{} the {}", old.id, old.species),
        };
        self.screen.change(record.event_name(), &text);
        Ok(())
    }

    fn activity(&self, record: &Record<Activity>) {
        self.note(record);
        if let Some(Activity { pet, activity_type, minutes }) = record.change.current().or(record.change.previous()) {
            self.screen.change(record.event_name(), &format!("{pet}: {activity_type} for {minutes} minutes"));
        }
    }

    fn note<T: Send + 'static>(&self, record: &Record<T>) {
        // The numbers of one shard have one length, so their text order is their order.
        let sequence = format!("{:0>40}", record.sequence_number());
        let mut handled = self.handled.lock().unwrap_or_else(PoisonError::into_inner);
        if handled.insert(record.raw().lane(), sequence.clone()).is_some_and(|last| last > sequence) {
            self.out_of_order.store(true, Ordering::Relaxed);
        }
    }

    /// Whether every item's changes were handled in the order in which they happened.
    pub(super) fn in_order(&self) -> bool {
        !self.out_of_order.load(Ordering::Relaxed)
    }
}
