//! What the views say, and what they should say.

use std::collections::BTreeMap;

use anabranch::{
    sink::table::{AttributeValue, DynamoDb},
    view::{ViewError, ViewReader, ViewRow},
};
use serde::de::DeserializeOwned;

use super::{
    compare::Rows,
    pet_tracker::{Activity, Pet, views},
    script,
};

/// The figures of all views.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Figures {
    /// By pet.
    pub(super) leaderboard: BTreeMap<String, Effort>,
    /// By pet and day.
    pub(super) days: BTreeMap<(String, String), (Effort, String)>,
    /// Pets by species.
    pub(super) species: BTreeMap<String, u64>,
}

/// How much a pet did.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Effort {
    pub(super) activities: u64,
    pub(super) minutes: u64,
}

impl Figures {
    /// Computed from the table's items alone, as anybody would: no view, no ledger, no stream.
    pub(super) fn of(rows: &Rows) -> Self {
        let mut figures = Self::default();
        // In the order of their times, which is that of their keys.
        for activity in items::<Activity>(rows, "ACTIVITY") {
            figures.leaderboard.entry(activity.pet.clone()).or_default().add(activity.minutes);
            let day = figures.days.entry((activity.pet, activity.timestamp[..10].to_owned())).or_default();
            day.0.add(activity.minutes);
            day.1 = activity.activity_type;
        }
        for pet in items::<Pet>(rows, "PET") {
            *figures.species.entry(pet.species).or_default() += 1;
        }
        figures
    }

    /// As the views have them.
    pub(super) async fn read(table: &DynamoDb) -> Result<Self, ViewError> {
        let mut figures = Self::default();
        let (board, daily) = (views::leaderboard(table.clone()).reader(), views::daily(table.clone()).reader());
        for pet in script::PETS.map(str::to_owned) {
            let row = board.read("LEADERBOARD", &pet).await?;
            figures.leaderboard.extend(row.map(|row| (pet.clone(), Effort::of(&row))));
            let row = daily.read(&pet, &format!("SUMMARY#{}", script::DAY)).await?;
            figures.days.extend(row.map(|row| ((pet, script::DAY.to_owned()), (Effort::of(&row), last(&row)))));
        }
        figures.species = species(&views::species(table.clone()).reader()).await?;
        Ok(figures)
    }
}

async fn species(reader: &ViewReader) -> Result<BTreeMap<String, u64>, ViewError> {
    let mut counts = BTreeMap::new();
    for species in script::SPECIES {
        let row = reader.read("SPECIES", species).await?;
        counts.extend(row.map(|row| (species.to_owned(), number(&row, "pets"))));
    }
    Ok(counts)
}

impl Effort {
    fn of(row: &ViewRow) -> Self {
        Self { activities: number(row, "activities"), minutes: number(row, "minutes") }
    }

    fn add(&mut self, minutes: u32) {
        self.activities += 1;
        self.minutes += u64::from(minutes);
    }
}

/// A count, or a sum of whole minutes.
fn number(row: &ViewRow, name: &str) -> u64 {
    row.number(name).to_string().parse().expect("the demo counts in small whole numbers")
}

fn last(row: &ViewRow) -> String {
    match row.value("lastActivity") {
        Some(AttributeValue::S(kind)) => kind.clone(),
        _ => String::new(),
    }
}

/// The items of an entity type that can be read as such.
fn items<T: DeserializeOwned>(rows: &Rows, entity: &str) -> impl Iterator<Item = T> {
    let of_entity = move |row: &&std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue>| {
        row.get("entityType").and_then(|name| name.as_s().ok()).is_some_and(|name| name == entity)
    };
    rows.values().filter(of_entity).filter_map(|row| serde_dynamo::from_item(row.clone()).ok())
}
