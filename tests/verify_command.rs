//! `anabranch verify` as its users run it.

use std::process::{Command, Output};

use anabranch::testing::embedded::{Embedded, PET_TRACKER, PET_TRACKER_REPLICA};
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use serde_json::{Value, json};

const PETS: u64 = 60;

/// PetTracker, brought to its replica by a backfill.
async fn filled() -> Embedded {
    let embedded = Embedded::start().await.expect("an embedded DynamoDB");
    embedded.create_table(PET_TRACKER, None).await.expect("a table");
    embedded.create_table(PET_TRACKER_REPLICA, None).await.expect("a table");
    embedded.put_pets(PETS as usize).await.expect("pets");
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = folder.path().join("job.json").to_string_lossy().into_owned();
    let backfill = ["backfill", "--table", PET_TRACKER, "--to", PET_TRACKER_REPLICA, "--checkpoint", &checkpoint];
    let brought = run(&embedded, &backfill).await;
    assert!(brought.status.success(), "{brought:?}");
    embedded
}

async fn run(embedded: &Embedded, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anabranch"));
    command.args(arguments).env("AWS_ENDPOINT_URL", embedded.endpoint()).env("AWS_REGION", "local");
    command.env("AWS_ACCESS_KEY_ID", "embedded").env("AWS_SECRET_ACCESS_KEY", "embedded");
    tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("no panic")
}

async fn verify(embedded: &Embedded, more: &[&str]) -> (Option<i32>, Vec<Value>, String) {
    let fixed = ["verify", "--source", PET_TRACKER, "--replica", PET_TRACKER_REPLICA, "--settle", "20ms", "--json"];
    let output = run(embedded, &[&fixed, more].concat()).await;
    let lines =
        String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (output.status.code(), lines, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Deletes a row of the replica, and answers with its key.
async fn lose(client: &Client) -> (String, String) {
    let some =
        client.scan().table_name(PET_TRACKER_REPLICA).limit(1).send().await.expect("a scan").items.expect("rows");
    let text = |name: &str| some[0][name].as_s().expect("a text").clone();
    let (partition, sort) = (text("PK"), text("SK"));
    let delete = client.delete_item().table_name(PET_TRACKER_REPLICA);
    let delete = delete.key("PK", AttributeValue::S(partition.clone())).key("SK", AttributeValue::S(sort.clone()));
    delete.send().await.expect("it is deleted");
    (partition, sort)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_by_its_exit_code_what_it_has_found() {
    let embedded = filled().await;
    let (code, lines, errors) = verify(&embedded, &["--full"]).await;
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!((lines.len(), &lines[1]["ok"], &lines[1]["report"]["source"]), (2, &json!(true), &json!(PETS)));

    let (partition, sort) = lose(&embedded.dynamodb()).await;
    let (code, lines, _) = verify(&embedded, &["--full"]).await;
    assert_eq!(code, Some(1));
    assert_eq!(lines[1], json!({"difference": {"kind": "missing", "attributes": []}}), "no keys unless asked for");
    let (_, lines, _) = verify(&embedded, &["--full", "--keys"]).await;
    assert_eq!(lines[1]["difference"]["key"], json!({"PK": {"S": partition}, "SK": {"S": sort}}));

    let (code, lines, _) = verify(&embedded, &["--full", "--repair"]).await;
    assert_eq!((code, &lines[1]["difference"]["repaired"]), (Some(0), &json!(true)));
    assert_eq!(verify(&embedded, &["--sample", "20"]).await.0, Some(0));
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replica_leaves_out_is_told_and_what_cannot_be_read_is_said() {
    let embedded = filled().await;
    let (code, lines, _) = verify(&embedded, &["--full", "--drop", "species"]).await;
    assert_eq!(code, Some(1));
    assert_eq!(lines[1]["difference"]["attributes"], json!(["species"]));
    let (code, lines, _) = verify(&embedded, &["--dry-run", "--full"]).await;
    assert_eq!((code, lines.len(), &lines[0]["plan"]["source"]), (Some(0), 1, &json!(PET_TRACKER)));
    let (code, _, errors) = verify(&embedded, &["--replica-region", "local", "--rate", "0"]).await;
    assert!(code == Some(2) && errors.contains("more than 0"), "{errors}");
    let missing = run(&embedded, &["verify", "--source", PET_TRACKER, "--replica", "Nowhere"]).await;
    let errors = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(missing.status.code() == Some(2) && errors.contains("ResourceNotFound"), "{errors}");
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_it_without_seeing_their_users_data() {
    let embedded = filled().await;
    lose(&embedded.dynamodb()).await;
    let output = run(
        &embedded,
        &["verify", "--source", PET_TRACKER, "--replica", PET_TRACKER_REPLICA, "--settle", "20ms", "--full"],
    )
    .await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("differs    missing\n") && text.contains("1 missing, 0 extra, 0 different"), "{text}");
    assert!(text.contains("--keys shows which items") && !text.contains("USER#"), "{text}");
    embedded.stop().await.expect("it stops");
}
