//! What each function does with which entity type: all of it but the sinks, which `main` connects.

use anabranch::{
    idempotency::IdempotentExt,
    notify::Notify,
    record::{Item, NewAndOldImages, NewImage},
    replica::{Replica, Sweep},
    router::Router,
    search::{Search, Tombstones, all_attributes},
    sink::{
        index::Index,
        ledger::Ledger,
        publisher::Publisher,
        table::{Table, TransactTable},
    },
};

use super::{mapping, news, views};

/// `replicate`: every item, as it is. With the source, what was given up and is handed over again does not bring back what is gone.
pub fn replicate(target: impl Table, source: Option<impl TransactTable>) -> Router<NewAndOldImages> {
    let replica = Replica::new(target);
    Router::new().every(match source {
        Some(source) => replica.reread(source),
        None => replica,
    })
}

/// What is swept up in a replica behind a backfill.
pub fn sweep(replica: Replica) -> Router<NewImage> {
    Router::new().every(Sweep::new(replica))
}

/// What a backfill brings to which targets: all but news, which would be old.
pub fn backfill(
    replica: Option<Replica>,
    view: Option<impl TransactTable + Clone>,
    search: Option<impl Index + Clone>,
) -> Router {
    let mut router = Router::by_attribute("entityType").ignore(views::ENTITY).ignore_others();
    if let Some(replica) = replica {
        router = router.every(replica);
    }
    if let Some(table) = view {
        router = router.on(views::leaderboard(table.clone())).on(views::daily(table.clone())).on(views::species(table));
    }
    if let Some(server) = search {
        let index = |name| documents(&server, name);
        router = router.route("PET", index("pets")).route("ACTIVITY", index("activities"));
    }
    router
}

/// `materialize`: a leaderboard, a daily summary of each pet, and how many pets there are of each species.
pub fn materialize(table: impl TransactTable + Clone) -> Router {
    Router::by_attribute("entityType")
        .on(views::leaderboard(table.clone()))
        .on(views::daily(table.clone()))
        .on(views::species(table))
        .ignore("USER")
        .ignore(views::ENTITY)
}

/// `notify`: news of pets, once each.
pub fn notify(topic: impl Publisher, ledger: impl Ledger) -> Router {
    Router::by_attribute("entityType").on(Notify::new(topic, news::of_pet).idempotent(ledger)).ignore_others()
}

/// An index whose documents remember that their item was deleted: rows of a backfill lose against that.
fn documents(server: &(impl Index + Clone), name: &str) -> Search<Item> {
    Search::new(server.clone(), name, all_attributes).creating(mapping()).tombstones(Tombstones::Keep)
}

/// `index`: pets and activities, each in an index of its own.
pub fn index(server: impl Index + Clone) -> Router {
    let index = |name| documents(&server, name);
    Router::by_attribute("entityType").route("PET", index("pets")).route("ACTIVITY", index("activities")).ignore("USER")
}
