//! Every place for checkpoints passes one suite, and what one has kept goes on in another.

use std::sync::Arc;

use anabranch::{
    source::mapping::{
        Checkpoint, CheckpointError, Checkpoints, FileCheckpoints, MemoryCheckpoints, TableCheckpoints,
        checkpoints_conform,
    },
    testing::embedded::{Embedded, EmbeddedError},
};
use futures_util::future::join_all;

fn at(shard: &str, sequence: u32, finished: bool) -> Checkpoint {
    let text = format!(r#"{{"shard": "{shard}", "sequence": "{sequence}", "finished": {finished}, "updated_at": 1}}"#);
    serde_json::from_str(&text).expect("a checkpoint")
}

#[tokio::test]
async fn memory_conforms() {
    checkpoints_conform(&MemoryCheckpoints::default()).await;
}

#[tokio::test]
async fn a_file_conforms() {
    let folder = tempfile::tempdir().expect("a folder");
    checkpoints_conform(&FileCheckpoints::open(folder.path().join("positions.json")).expect("a new file")).await;
}

#[tokio::test]
async fn a_table_conforms() -> Result<(), EmbeddedError> {
    let embedded = Embedded::start().await?;
    embedded.create_table("Positions", None).await?;
    checkpoints_conform(&TableCheckpoints::new(embedded.dynamodb(), "Positions")).await;
    embedded.stop().await
}

#[tokio::test]
async fn the_furthest_of_many_writers_wins() -> Result<(), EmbeddedError> {
    let embedded = Embedded::start().await?;
    embedded.create_table("Positions", None).await?;
    let table = Arc::new(TableCheckpoints::new(embedded.dynamodb(), "Positions"));
    let save = |n: u32| {
        let table = table.clone();
        // Each some of the shards, and all of them the last one.
        let shards = (0..4).filter(move |shard| n.is_multiple_of(shard + 1));
        let checkpoints: Vec<_> = shards.map(|shard| at(&shard.to_string(), n * 7, false)).collect();
        async move { table.save("group", "stream", &checkpoints).await.expect("saved") }
    };
    join_all((1..=40).rev().map(save)).await;
    let kept = table.load("group", "stream").await.expect("loaded");
    let mut kept: Vec<_> = kept.iter().map(|it| it.sequence.clone().expect("a number").to_string()).collect();
    kept.sort();
    assert_eq!(kept, ["273", "280", "280", "280"], "the greatest multiples of 1, 2, 3 and 4 up to 40, by seven");
    embedded.stop().await
}

#[tokio::test]
async fn positions_move_from_a_file_to_a_table_and_finished_shards_are_swept() -> Result<(), EmbeddedError> {
    let embedded = Embedded::start().await?;
    embedded.create_table("Positions", None).await?;
    embedded.enable_ttl("Positions", "expiresAt").await?;
    let folder = tempfile::tempdir().expect("a folder");
    let file = FileCheckpoints::open(folder.path().join("positions.json")).expect("a new file");
    file.save("group", "stream", &[at("old", 1, true), at("new", 2, false)]).await.expect("saved");
    let table = TableCheckpoints::new(embedded.dynamodb(), "Positions");
    let exported = file.load("group", "stream").await.expect("loaded");
    table.save("group", "stream", &exported).await.expect("saved");
    assert_eq!(table.load("group", "stream").await.expect("loaded").len(), 2);
    assert_eq!(embedded.sweep_ttl().await?, 1);
    assert_eq!(table.load("group", "stream").await.expect("loaded"), [at("new", 2, false)]);
    embedded.stop().await
}

#[tokio::test]
async fn what_is_no_table_of_checkpoints_is_an_error_that_says_so() -> Result<(), EmbeddedError> {
    let embedded = Embedded::start().await?;
    embedded.create_ledger("Ledger").await?;
    for name in ["Missing", "Ledger"] {
        let table = TableCheckpoints::new(embedded.dynamodb(), name);
        let one = [at("s", 1, false)];
        let two = [at("s", 1, false), at("t", 1, false)];
        let errors = [
            table.load("group", "stream").await.err(),
            table.save("group", "stream", &one).await.err(),
            table.save("group", "stream", &two).await.err(),
        ];
        for error in errors {
            let error = error.expect("no table of checkpoints").downcast::<CheckpointError>().expect("ours");
            assert!(matches!(*error, CheckpointError::Table { .. }) && error.to_string().contains(name), "{error}");
        }
    }
    embedded.stop().await
}
