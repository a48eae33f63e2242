//! Everything that is made of PetTracker's changes.

use std::sync::Arc;

use anabranch::{
    idempotency::IdempotentExt,
    notify::Notify,
    record::NewAndOldImages,
    replica::Replica,
    router::Router,
    sink::{ledger, table::DynamoDb},
    testing::embedded::{Embedded, PET_TRACKER_LEDGER, PET_TRACKER_REPLICA, PET_TRACKER_VIEWS},
};

use super::{
    Args,
    pet_tracker::{Pet, news, views},
    search::{self, Indexes},
    show::Screen,
    topic::Topic,
};
use crate::BoxError;

/// What the handlers write to.
pub(super) struct Targets {
    pub(super) replica: DynamoDb,
    pub(super) views: DynamoDb,
    pub(super) topic: Arc<Topic>,
    pub(super) indexes: Indexes,
    ledger: Arc<ledger::DynamoDb>,
}

impl Targets {
    /// The tables of the embedded DynamoDB, and the topic and the search server of the arguments.
    pub(super) async fn start(args: &Args, embedded: &Embedded, screen: Screen) -> Result<Self, BoxError> {
        let ledger = ledger::DynamoDb::new(embedded.dynamodb(), PET_TRACKER_LEDGER, "pet-news");
        Ok(Self {
            replica: DynamoDb::new(embedded.dynamodb(), PET_TRACKER_REPLICA),
            views: DynamoDb::new(embedded.dynamodb(), PET_TRACKER_VIEWS),
            topic: Arc::new(Topic::open(args, screen).await?),
            indexes: Indexes::connect(args.opensearch_url.as_deref()).await?,
            ledger: Arc::new(ledger),
        })
    }

    /// What the functions of `handlers/src/bin` do, all in one.
    pub(super) fn router(&self) -> Router<NewAndOldImages> {
        let notify = Notify::<Pet>::new(Arc::clone(&self.topic), news::of_pet);
        Router::by_attribute("entityType")
            .every(Replica::new(self.replica.clone()))
            .on(views::leaderboard(self.views.clone()))
            .on(views::daily(self.views.clone()))
            .on(views::species(self.views.clone()))
            .on(notify.idempotent(Arc::clone(&self.ledger)))
            .route("PET", self.indexes.of(search::PETS))
            .route("ACTIVITY", self.indexes.of(search::ACTIVITIES))
            .ignore("USER")
    }
}
