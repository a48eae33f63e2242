//! A minute of PetTracker's life, played in a few seconds.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    primitives::Blob,
    types::AttributeValue::{self, B, Bool, L, M, N, S, Ss},
};

use super::compare::Key;
use crate::BoxError;

/// The pet that no `Pet` can be read from: its weight is a word.
pub(super) const POISON: &str = "PET#boulder";
/// The pet whose handler fails the first time.
pub(super) const FLAKY: &str = "PET#rex";
/// All pets of the script.
pub(super) const PETS: [&str; 4] = ["PET#mia", FLAKY, "PET#kiwi", POISON];
/// Everything that they ever are.
pub(super) const SPECIES: [&str; 6] = ["cat", "lynx", "dog", "parrot", "kiwi", "rock"];
/// The day on which it happens.
pub(super) const DAY: &str = "2026-11-21";
/// What users should be told, each once: written down, not computed.
pub(super) const NEWS: [&str; 8] = [
    "Welcome, mia!",
    "Welcome, rex!",
    "Welcome, kiwi!",
    "rex went from 21.3 kg to 24.5 kg.",
    "rex went from 24.5 kg to 21.5 kg.",
    "Farewell, kiwi.",
    "Welcome, kiwi!",
    "Farewell, rex.",
];
/// The time between two writes.
const PAUSE: Duration = Duration::from_millis(45);
/// As many digits as DynamoDB keeps: more than any machine number holds.
const DIGITS: &str = "3.1415926535897932384626433832795028841";

pub(super) type Row = HashMap<String, AttributeValue>;

/// One write of somebody.
pub(super) enum Act {
    Put(Row),
    Remove(String, String),
}

/// Plays the script; gives the number of changes that it made.
///
/// # Errors
/// A write that the table refuses.
pub(super) async fn play(client: Client, table: &'static str) -> Result<usize, BoxError> {
    let acts = script();
    let changes = acts.len();
    for act in acts {
        act.perform(&client, table).await?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(changes)
}

impl Act {
    /// Does it.
    ///
    /// # Errors
    /// A write that the table refuses.
    pub(super) async fn perform(self, client: &Client, table: &str) -> Result<(), BoxError> {
        match self {
            Self::Put(row) => _ = client.put_item().table_name(table).set_item(Some(row)).send().await?,
            Self::Remove(pk, sk) => {
                _ = client.delete_item().table_name(table).key("PK", S(pk)).key("SK", S(sk)).send().await?;
            }
        }
        Ok(())
    }
}

/// The keys of all items that ever are.
pub(super) fn keys() -> BTreeSet<Key> {
    let text = |row: &Row, name| row[name].as_s().expect("keys are texts").clone();
    let key = |act| match act {
        Act::Put(row) => (text(&row, "PK"), text(&row, "SK")),
        Act::Remove(pk, sk) => (pk, sk),
    };
    script().into_iter().map(key).collect()
}

fn script() -> Vec<Act> {
    let mut acts = vec![user("ada"), user("ben")];
    acts.push(pet("ada", "PET#mia", "cat", "4.2"));
    acts.push(pet("ada", FLAKY, "dog", "21.5"));
    acts.push(pet("ben", "PET#kiwi", "parrot", DIGITS));
    for hour in 0..6 {
        acts.push(activity("PET#mia", hour, "play", 10 + hour));
        acts.push(activity(FLAKY, hour, "walk", 30 + hour));
        acts.push(pet("ada", "PET#mia", "cat", &format!("4.{}", 3 + hour)));
        let weight = if hour == 4 { "24.5".to_owned() } else { format!("21.{hour}") };
        acts.push(pet("ada", FLAKY, "dog", &weight));
        if hour == 2 {
            acts.push(boulder());
        }
    }
    // Looked at more closely, another species.
    acts.push(pet("ada", "PET#mia", "lynx", "4.8"));
    // Deleted, and back again as yet another.
    acts.push(Act::Remove("USER#ben".to_owned(), "PET#kiwi".to_owned()));
    acts.push(pet("ben", "PET#kiwi", "kiwi", "1.9"));
    acts.extend((0..3).map(|hour| Act::Remove("PET#mia".to_owned(), stamp(hour))));
    acts.push(Act::Remove("USER#ada".to_owned(), FLAKY.to_owned()));
    acts
}

fn user(name: &str) -> Act {
    put(&format!("USER#{name}"), "PROFILE", "USER", [("name", S(name.to_owned()))])
}

pub(super) fn pet(user: &str, id: &str, species: &str, weight: &str) -> Act {
    let visit = M(HashMap::from([("cost".to_owned(), N("45.5".to_owned()))]));
    let attributes = [
        ("name", S(id.trim_start_matches("PET#").to_owned())),
        ("species", S(species.to_owned())),
        ("weightKg", N(weight.to_owned())),
        ("tags", Ss(vec!["chipped".to_owned(), "friendly".to_owned()])),
        ("vaccinated", Bool(true)),
        ("chip", B(Blob::new(*b"\x00\xffchip"))),
        ("visits", L(vec![visit])),
    ];
    put(&format!("USER#{user}"), id, "PET", attributes)
}

fn boulder() -> Act {
    let [name, species, weight] = ["boulder", "rock", "heavy"].map(|text| S(text.to_owned()));
    put("USER#ben", POISON, "PET", [("name", name), ("species", species), ("weightKg", weight)])
}

pub(super) fn activity(pet: &str, hour: u32, kind: &str, minutes: u32) -> Act {
    let attributes = [
        ("activityType", S(kind.to_owned())),
        ("minutes", N(minutes.to_string())),
        ("timestamp", S(format!("{DAY}T{hour:02}:00:00Z"))),
    ];
    put(pet, &stamp(hour), "ACTIVITY", attributes)
}

pub(super) fn stamp(hour: u32) -> String {
    format!("ACTIVITY#{DAY}T{hour:02}:00:00Z")
}

fn put<const N: usize>(pk: &str, sk: &str, entity: &str, attributes: [(&str, AttributeValue); N]) -> Act {
    let keys = [("PK", pk), ("SK", sk), ("entityType", entity)].map(|(name, value)| (name, S(value.to_owned())));
    Act::Put(keys.into_iter().chain(attributes).map(|(name, value)| (name.to_owned(), value)).collect())
}
