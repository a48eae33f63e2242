//! The embedded DynamoDB: what tests and the command line stand on.

#[cfg(unix)]
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use anabranch::testing::embedded::{Embedded, EmbeddedError, PET_TRACKER, PET_TRACKER_TTL};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodbstreams::types::ShardIteratorType;

async fn event_names(embedded: &Embedded, stream: &str) -> Option<Vec<String>> {
    let client = embedded.streams();
    let described = client.describe_stream().stream_arn(stream).send().await.ok()?;
    let shard = described.stream_description?.shards?.pop()?.shard_id?;
    let iterator = client
        .get_shard_iterator()
        .stream_arn(stream)
        .shard_id(shard)
        .shard_iterator_type(ShardIteratorType::TrimHorizon);
    let iterator = iterator.send().await.ok()?.shard_iterator?;
    let records = client.get_records().shard_iterator(iterator).send().await.ok()?;
    records.records().iter().map(|record| Some(record.event_name()?.to_string())).collect()
}

#[tokio::test]
async fn items_expire_in_a_sweep_and_say_so_in_the_stream() -> Result<(), EmbeddedError> {
    let embedded = Embedded::start().await?;
    let stream = embedded.create_pet_tracker().await?;
    for (id, expires) in [("PET#old", "1"), ("PET#new", "99999999999")] {
        let put = embedded.dynamodb().put_item().table_name(PET_TRACKER);
        let put = put.item("PK", AttributeValue::S("USER#ada".into())).item("SK", AttributeValue::S(id.into()));
        put.item(PET_TRACKER_TTL, AttributeValue::N(expires.into())).send().await.unwrap();
    }
    assert_eq!(embedded.sweep_ttl().await?, 1);
    let events = event_names(&embedded, &stream).await.expect("a stream that can be read");
    assert_eq!(events, ["INSERT", "INSERT", "REMOVE"]);
    embedded.stop().await
}

#[tokio::test]
async fn a_taken_port_is_named() -> Result<(), EmbeddedError> {
    let first = Embedded::start().await?;
    let port = first.endpoint().rsplit(':').next().unwrap().parse().unwrap();
    let Err(error) = Embedded::start_on(port).await else { panic!("two servers on one port") };
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    first.stop().await?;
    Embedded::start_on(port).await?.stop().await
}

#[tokio::test]
async fn a_table_that_exists_is_named() -> Result<(), EmbeddedError> {
    let embedded = Embedded::start().await?;
    embedded.create_pet_tracker().await?;
    let error = embedded.create_pet_tracker().await.unwrap_err().to_string();
    assert!(error.contains("`PetTracker`") && error.contains("ResourceInUseException"), "{error}");
    embedded.stop().await
}

/// What a service manager or a container does to it.
#[cfg(unix)]
#[test]
fn the_emulator_ends_when_it_is_told_to_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut emulator = Command::new(env!("CARGO_BIN_EXE_anabranch"))
        .args(["emulator", "--port", "0"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut said = BufReader::new(emulator.stdout.take().expect("a pipe")).lines();
    let settings: Vec<_> =
        said.by_ref().map(|line| line.expect("a line")).take_while(|line| !line.starts_with("Ctrl-C")).collect();
    assert!(settings.iter().any(|line| line.contains("export TARGET_TABLE=PetTrackerReplica ")), "{settings:?}");
    assert_ne!(files(folder.path()), 0, "its data is in a folder of its own");
    let told = Command::new("kill").args(["-TERM", &emulator.id().to_string()]).status().expect("kill");
    assert!(told.success());
    assert!(emulator.wait().expect("it ends").success());
    assert_eq!(files(folder.path()), 0);
}

#[cfg(unix)]
fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("a folder").count()
}
