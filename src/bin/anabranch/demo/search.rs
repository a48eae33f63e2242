//! Search indexes, and whether they hold what the table does.

use std::{collections::BTreeMap, env, sync::Arc};

use anabranch::{
    record::Item,
    search::{Search, all_attributes},
    sink::index::{Document, DocumentId, Fields, Index, OpenSearch},
    testing::opensearch::OpenSearchDouble,
};

use super::{
    compare::{Key, Rows, key_item},
    pet_tracker::mapping,
};
use crate::BoxError;

/// The index of the pets.
pub(super) const PETS: &str = "pettracker-pets";
/// The index of the activities.
pub(super) const ACTIVITIES: &str = "pettracker-activities";

/// A search server: a real one, or the double.
pub(super) struct Indexes {
    server: Arc<OpenSearch>,
    double: Option<OpenSearchDouble>,
    url: String,
}

impl Indexes {
    pub(super) async fn connect(url: Option<&str>) -> Result<Self, BoxError> {
        let double = match url {
            Some(_) => None,
            None => Some(OpenSearchDouble::start().await?),
        };
        let url = double.as_ref().map(OpenSearchDouble::url).or(url).expect("one or the other").to_owned();
        let server = OpenSearch::connect(&url).await?;
        let server = match (env::var("SEARCH_USER"), env::var("SEARCH_PASSWORD")) {
            (Ok(user), Ok(password)) => server.basic_auth(&user, &password),
            _ => server,
        };
        Ok(Self { server: Arc::new(server), double, url })
    }

    /// What it is and where, as the demo says it.
    pub(super) fn place(&self) -> String {
        let what = if self.double.is_some() { "a double of OpenSearch's bulk endpoint" } else { "the server" };
        format!("{what} at {}", self.url)
    }

    pub(super) fn of(&self, index: &str) -> Search<Item> {
        Search::new(self.server.clone(), index, all_attributes).creating(mapping())
    }

    /// Compares the documents of all items that ever were with those of the rows that should be found.
    pub(super) async fn compare(
        &self,
        ever: impl IntoIterator<Item = Key>,
        rows: &Rows,
    ) -> Result<Comparison, BoxError> {
        let mut comparison = Comparison::default();
        for key in ever {
            let Some(index) = index_of(&key) else { continue };
            let found = self.server.read(index, &DocumentId::of(&key_item(&key))).await?.map(without_version);
            let wanted = rows.get(&key).and_then(|row| all_attributes(&Item(row.clone().into())));
            if found != wanted {
                comparison.differences.push(format!("{index}: {} / {}", key.0, key.1));
            }
            *comparison.documents.entry(index).or_default() += usize::from(found.is_some());
        }
        Ok(comparison)
    }
}

/// How indexes and table differ.
#[derive(Default)]
pub(super) struct Comparison {
    /// How many documents each index has.
    pub(super) documents: BTreeMap<&'static str, usize>,
    /// A line for each document that differs.
    pub(super) differences: Vec<String>,
}

fn index_of((_, sort): &Key) -> Option<&'static str> {
    match sort.split_once('#')?.0 {
        "PET" => Some(PETS),
        "ACTIVITY" => Some(ACTIVITIES),
        _ => None,
    }
}

fn without_version(mut document: Document) -> Document {
    document.remove(&*Fields::default().version);
    document
}
