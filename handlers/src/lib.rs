//! PetTracker: the small domain that Anabranch's examples, tests and documents share.
//!
//! One table holds everything, told apart by `entityType`:
//!
//! | Entity | `PK` | `SK` |
//! |---|---|---|
//! | `USER` | `USER#u` | `PROFILE` |
//! | `PET` | `USER#u` | `PET#p` |
//! | `ACTIVITY` | `PET#p` | `ACTIVITY#ts` |
//!
//! The binaries beside it are Lambda functions, to deploy as they are or to copy.

pub mod news;
pub mod routers;
pub mod views;

use std::{env, sync::Arc};

use anabranch::{
    aws::{self, Role},
    dispatch::Dispatcher,
    lambda,
    record::{Entity, StreamView},
    router::Router,
    sink::{dead_letter::Sqs, index::OpenSearch},
};
use aws_sdk_dynamodb::Client;
use serde::{Deserialize, Serialize};

/// A pet of a user.
///
/// ```
/// # use handlers::Pet;
/// let pet: Pet = serde_json::from_str(r#"{"PK": "USER#1", "SK": "PET#7", "name": "Mia", "species": "cat"}"#)?;
/// assert_eq!(pet.weight_kg, None);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pet {
    /// The user: `USER#u`.
    #[serde(rename = "PK")]
    pub owner: String,
    /// The pet: `PET#p`.
    #[serde(rename = "SK")]
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What it is.
    pub species: String,
    /// What it weighs, in kilograms, if it was ever weighed.
    pub weight_kg: Option<f64>,
}

/// Something that a pet did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// The pet: `PET#p`.
    #[serde(rename = "PK")]
    pub pet: String,
    /// When: `ACTIVITY#ts`.
    #[serde(rename = "SK")]
    pub id: String,
    /// What it did.
    pub activity_type: String,
    /// How long, in minutes.
    pub minutes: u32,
    /// When, as an ISO time.
    pub timestamp: String,
}

impl Entity for Pet {
    const NAME: &'static str = "PET";
}

impl Entity for Activity {
    const NAME: &'static str = "ACTIVITY";
}

/// How PetTracker's attributes are searched: numbers as numbers, times as times.
pub fn mapping() -> serde_json::Value {
    serde_json::json!({"mappings": {"properties": {
        "weightKg": {"type": "double"}, "minutes": {"type": "long"}, "timestamp": {"type": "date"}
    }}})
}

/// The search server of `SEARCH_ENDPOINT`, `SEARCH_USER` and `SEARCH_PASSWORD`.
///
/// # Errors
/// The endpoint is not set, or is no address.
pub async fn search_server() -> Result<Arc<OpenSearch>, lambda::Error> {
    let server = OpenSearch::connect(&setting("SEARCH_ENDPOINT")?).await?;
    Ok(Arc::new(match (env::var("SEARCH_USER"), env::var("SEARCH_PASSWORD")) {
        (Ok(user), Ok(password)) => server.basic_auth(&user, &password),
        _ => server,
    }))
}

/// What writes to the replica: in the region of `TARGET_REGION` and as the role of `TARGET_ROLE_ARN`, if they are set.
pub async fn replica_client() -> Client {
    let region = setting("TARGET_REGION").ok();
    Client::new(&match setting("TARGET_ROLE_ARN") {
        Ok(role) => aws::load_as(region, &Role::new(role)).await,
        Err(_) => aws::load_in(region).await,
    })
}

/// What lets records go through these routes; those that no retry can mend go to the queue of `DEAD_LETTER_QUEUE_URL`, if it is set.
pub async fn dispatcher<V: StreamView>(router: Router<V>) -> Dispatcher {
    match setting("DEAD_LETTER_QUEUE_URL") {
        Ok(queue) => Dispatcher::with_dead_letters(router, Sqs::from_env(queue).await),
        Err(_) => Dispatcher::new(router),
    }
}

/// An environment variable that a function cannot do without.
///
/// # Errors
/// It is not set, or not Unicode: the message names it.
pub fn setting(name: &'static str) -> Result<String, MissingSetting> {
    env::var(name).ok().filter(|value| !value.is_empty()).ok_or(MissingSetting { name })
}

/// A function was deployed without a setting that it needs.
#[derive(Clone, PartialEq, Eq)]
pub struct MissingSetting {
    name: &'static str,
}

/// As people read it: this is what a `main` that fails prints.
impl std::fmt::Debug for MissingSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::fmt::Display for MissingSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "environment variable {} is not set; add it to the function's Environment in template.yaml",
            self.name
        )
    }
}

impl std::error::Error for MissingSetting {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use anabranch::{
        handler::Context,
        search::{Search, all_attributes},
        sink::index::Memory,
    };

    use super::*;

    /// The sample batch, delivered twice: what is found is what is there at its end, to the last digit.
    #[tokio::test]
    async fn documents_come_and_go() {
        let server = Arc::new(Memory::new("search"));
        let index = |name| Search::new(server.clone(), name, all_attributes).creating(mapping());
        let router =
            Router::by_attribute("entityType").route("PET", index("pets")).route("ACTIVITY", index("activities"));
        let dispatcher = Dispatcher::new(router);
        let batch = include_bytes!("../../events/documents-come-and-go.json");
        for _ in 0..2 {
            let report = dispatcher.dispatch(&batch[..], &Context::default()).await.expect("a stream event");
            assert_eq!(report.unfinished, None);
        }
        let documents = server.documents();
        let [(activities, activity), (pets, ivy)] = &documents[..] else {
            panic!("two documents are left: {documents:?}")
        };
        assert_eq!((&**activities, &activity["minutes"]), ("activities", &12.into()));
        assert_eq!((&**pets, &ivy["name"]), ("pets", &"Ivy the Second".into()));
        assert_eq!(ivy["weightKg"], "0.31415926535897932384626433832795028842");
    }
}
