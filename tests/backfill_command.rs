//! `anabranch backfill` as its users run it: killed, resumed, and beside live changes.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use anabranch::testing::embedded::{Embedded, PET_TRACKER, PET_TRACKER_REPLICA};
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use object_store::local::LocalFileSystem;
use serde_json::{Value, json};
use support::Made;

#[path = "support/export.rs"]
#[allow(dead_code, reason = "each test binary uses its own part of the support code")]
mod support;

#[path = "support/retold.rs"]
mod retold;

const ROWS: usize = 600;

/// What makes another replica of one, and what is said of it.
const ELSEWHERE: [(&str, &str, &str); 2] =
    [("--to-region", "eu-west-1", "in eu-west-1, generation 0"), ("--generation", "1", "in local, generation 1")];

async fn filled() -> Embedded {
    let embedded = Embedded::start().await.expect("an embedded DynamoDB");
    embedded.create_table(PET_TRACKER, None).await.expect("a table");
    embedded.create_table(PET_TRACKER_REPLICA, None).await.expect("a table");
    embedded.put_rows(PET_TRACKER, (0..ROWS).map(row)).await.expect("rows are written");
    embedded
}

fn row(n: usize) -> [(String, AttributeValue); 3] {
    let text = |text: String| AttributeValue::S(text);
    [
        ("PK".to_owned(), text(format!("USER#{n}"))),
        ("SK".to_owned(), text("PROFILE".to_owned())),
        // Some pages for each segment.
        ("about".to_owned(), text("x".repeat(10_000))),
    ]
}

fn command(embedded: &Embedded, checkpoint: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anabranch"));
    command
        .args(["backfill", "--table", PET_TRACKER, "--to", PET_TRACKER_REPLICA, "--json", "--checkpoint"])
        .arg(checkpoint)
        .args(more);
    connected(&mut command, embedded);
    command
}

fn connected(command: &mut Command, embedded: &Embedded) {
    command
        .env("AWS_ENDPOINT_URL", embedded.endpoint())
        .env("AWS_REGION", "local")
        .env("AWS_ACCESS_KEY_ID", "embedded")
        .env("AWS_SECRET_ACCESS_KEY", "embedded")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
}

async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("no panic")
}

async fn rows(client: &Client, table: &str) -> BTreeMap<String, usize> {
    let mut pages = client.scan().table_name(table).into_paginator().items().send();
    let mut rows = BTreeMap::new();
    while let Some(row) = pages.next().await {
        let row = row.expect("a row");
        let length = row["about"].as_s().expect("a text").len();
        rows.insert(row["PK"].as_s().expect("a text").clone(), length);
    }
    rows
}

fn last_line(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(text.lines().last().unwrap_or_else(|| panic!("no output: {errors}"))).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_killed_and_resumed_and_misses_nothing() {
    let embedded = filled().await;
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = folder.path().join("job.json");
    let slowly = ["--segments", "6", "--workers", "2", "--rows-per-second", "400"];
    let mut begun = command(&embedded, &checkpoint, &slowly).spawn().expect("it starts");
    // As soon as it has got somewhere.
    let counted = || -> u64 {
        let text = std::fs::read_to_string(&checkpoint).unwrap_or_default();
        let job: Value = serde_json::from_str(&text).unwrap_or_default();
        let open = job["open"].as_object().into_iter().flatten().map(|(_, it)| &it["counts"]);
        open.chain([&job["done"]]).filter_map(|counts| counts["records"].as_u64()).sum()
    };
    while counted() == 0 {
        assert!(begun.try_wait().expect("a process").is_none(), "it ended before it was killed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begun.kill().expect("it is killed");
    begun.wait().expect("it is gone");
    let before = counted();
    assert!(before < ROWS as u64, "{before} rows were done before it was killed");
    let client = embedded.dynamodb();
    // What is deleted while nothing runs has no row in the end.
    let deleted = row(7);
    let mut delete = client.delete_item().table_name(PET_TRACKER);
    for (name, value) in deleted.into_iter().take(2) {
        delete = delete.key(name, value);
    }
    delete.send().await.expect("it is deleted");

    let again = output(command(&embedded, &checkpoint, &slowly)).await;
    assert!(!again.status.success());
    let errors = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(errors.contains("--resume"), "{errors}");

    let kept = || -> Value { serde_json::from_slice(&std::fs::read(&checkpoint).expect("a file")).expect("JSON") };
    for says_so in [true, false] {
        let mut job = kept();
        if !says_so {
            // As an earlier version has kept it: only the open segments tell.
            job.as_object_mut().expect("an object").retain(|name, _| !["handler", "generation"].contains(&&**name));
            std::fs::write(&checkpoint, job.to_string()).expect("a file");
        }
        for (option, other, said) in ELSEWHERE {
            let elsewhere = output(command(&embedded, &checkpoint, &["--resume", option, other])).await;
            let errors = String::from_utf8_lossy(&elsewhere.stderr).into_owned();
            let named = errors.contains("in local, generation 0") && errors.contains(said);
            assert!(!elsewhere.status.success() && named, "another replica is not gone on with: {errors}");
            assert_eq!(kept(), job, "nothing was done");
        }
    }
    let divided = output(command(&embedded, &checkpoint, &["--resume", "--segments", "7"])).await;
    let errors = String::from_utf8_lossy(&divided.stderr).into_owned();
    assert!(!divided.status.success() && errors.contains("number of segments"), "{errors}");

    // More workers would have more segments, had it not begun with six.
    let ended = output(command(&embedded, &checkpoint, &["--workers", "8", "--resume"])).await;
    let report = last_line(&ended);
    assert!(ended.status.success() && report["ok"] == true, "{ended:?}");
    let records = report["counts"]["records"].as_u64().expect("a number");
    assert!((ROWS as u64 - 1..=ROWS as u64).contains(&records), "{records}");
    assert_eq!(rows(&client, PET_TRACKER_REPLICA).await, rows(&client, PET_TRACKER).await);
    assert!(!checkpoint.exists(), "what is done needs no checkpoint");
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_abandoned_run_has_left_is_swept_up_by_the_next() {
    let embedded = filled().await;
    let (folder, client) = (tempfile::tempdir().expect("a folder"), embedded.dynamodb());
    let run = async |more: &[&str]| last_line(&output(command(&embedded, &folder.path().join("job.json"), more)).await);
    assert_eq!(run(&[]).await["swept"], 0);
    // As if a worker had been killed before it asked again, and nobody had resumed it.
    delete(&client, PET_TRACKER, 0..3).await;
    assert_eq!(run(&["--no-sweep"]).await["swept"], 0);
    assert_eq!(rows(&client, PET_TRACKER_REPLICA).await.len(), ROWS);
    assert_eq!(run(&[]).await["swept"], 3);
    assert_eq!(rows(&client, PET_TRACKER_REPLICA).await, rows(&client, PET_TRACKER).await);
    embedded.stop().await.expect("it stops");
}

/// Without `--json`, and to the replica unless another table is named.
fn resumed(embedded: &Embedded, checkpoint: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anabranch"));
    command.args(["backfill", "--table", PET_TRACKER, "--resume", "--checkpoint"]).arg(checkpoint).args(more);
    if !more.contains(&"--to") {
        command.args(["--to", PET_TRACKER_REPLICA]);
    }
    connected(&mut command, embedded);
    command
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_ends_when_it_is_told_to_and_is_gone_on_with() {
    let embedded = filled().await;
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = folder.path().join("job.json");
    embedded.put_rows(PET_TRACKER_REPLICA, (0..ROWS).map(row)).await.expect("rows are written");
    let done = json!({"portions": 0, "scanned": 0, "records": 0, "expired": 0, "applied": 0, "skipped": {}, "dead": 0, "units": 0.0});
    let job = json!({"name": "all is brought", "open": {}, "done": done, "segments": 4});
    std::fs::write(&checkpoint, job.to_string()).expect("a file");
    let mut sweeping = resumed(&embedded, &checkpoint, &["--rows-per-second", "1", "--page-limit", "5"]);
    let mut sweeping = sweeping.spawn().expect("it starts");
    let mut said = BufReader::new(sweeping.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("looking through") {
        line.clear();
        assert_ne!(said.read_line(&mut line).expect("text"), 0, "it ended");
    }
    let told = Command::new("kill").args(["-TERM", &sweeping.id().to_string()]).status().expect("kill");
    assert!(told.success());
    let ended = sweeping.wait().expect("it ends");
    let rest = std::io::read_to_string(said).expect("text");
    assert!(!ended.success() && rest.contains("--resume"), "{ended:?} {rest}");
    // What is left to do is of this replica, though no segment is left to say so.
    embedded.create_table("Another", None).await.expect("a table");
    for (option, other, said) in [("--to", "Another", "table/Another in local")].iter().chain(&ELSEWHERE) {
        let elsewhere = output(resumed(&embedded, &checkpoint, &[option, other])).await;
        let errors = String::from_utf8_lossy(&elsewhere.stderr).into_owned();
        let named = errors.contains("table/PetTrackerReplica in local, generation 0") && errors.contains(said);
        assert!(!elsewhere.status.success() && named && checkpoint.exists(), "{errors}");
    }
    let swept = output(resumed(&embedded, &checkpoint, &[])).await;
    assert!(swept.status.success() && !checkpoint.exists(), "{swept:?}");
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_printed_and_nothing_is_done() {
    let embedded = filled().await;
    let folder = tempfile::tempdir().expect("a folder");
    let plan = output(command(&embedded, &folder.path().join("job.json"), &["--dry-run"])).await;
    assert_eq!(last_line(&plan)["plan"]["table"], PET_TRACKER);
    assert!(rows(&embedded.dynamodb(), PET_TRACKER_REPLICA).await.is_empty());
    for (more, looks, sweeps) in [
        (&[][..], true, true),
        (&["--no-sweep"], true, false),
        (&["--tombstones", "7days"], false, false),
        (&["--rate", "10"], true, true),
    ] {
        let more = [&["--dry-run"], more].concat();
        let plan = &last_line(&output(command(&embedded, &folder.path().join("job.json"), &more)).await)["plan"];
        // Rows of 10 kB: as many as the table has, when they are brought.
        let (rows, units) = (plan["items"].as_u64().expect("a number"), plan["units"].as_f64().expect("a number"));
        let of_looks = json!(rows as f64 * 3.0);
        assert_eq!((rows, &plan["looks"]), (ROWS as u64, if looks { &of_looks } else { &Value::Null }), "{plan}");
        let sweep = &plan["sweep"];
        assert_eq!(sweep.is_object(), sweeps, "{plan}");
        if sweeps {
            assert_eq!((&sweep["table"], &sweep["rows"]), (&PET_TRACKER_REPLICA.into(), &rows.into()), "{plan}");
            assert_eq!((&sweep["units"], &sweep["looks"]), (&json!(units), &of_looks), "{plan}");
            assert_eq!(sweep["seconds"], plan["seconds"], "{plan}");
            let dollars = sweep["dollars"].as_f64().expect("a number") - (units + rows as f64 * 3.0) * 0.125e-6;
            assert!(dollars.abs() < 1e-9, "{plan}");
        }
    }
    let refused = output(command(&embedded, &folder.path().join("job.json"), &["--rate", "0"])).await;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("more than 0"), "{refused:?}");
    let missing = output({
        let mut command = command(&embedded, &folder.path().join("job.json"), &[]);
        command.args(["--table", "Nowhere"]);
        command
    })
    .await;
    assert!(!missing.status.success());
    embedded.stop().await.expect("it stops");
}

/// A row as a line of a full export.
fn exported(n: usize) -> String {
    let item: serde_json::Map<_, _> =
        row(n).into_iter().map(|(name, value)| (name, json!({"S": value.as_s().expect("a text")}))).collect();
    json!({ "Item": item }).to_string()
}

/// A deletion as a line of an incremental export.
fn deleted(n: usize) -> String {
    json!({"Metadata": {"WriteTimestampMicros": {"N": "1"}}, "Keys": {"PK": {"S": format!("USER#{n}")}, "SK": {"S": "PROFILE"}}})
        .to_string()
}

/// A full export of all rows, and an incremental one in which those from `from` on are deleted, below a folder.
async fn exports(folder: &Path, from: usize) {
    let store = LocalFileSystem::new_with_prefix(folder).expect("a folder");
    let rows = (0..6).map(|file| (0..ROWS).filter(|n| n % 6 == file).map(exported).collect()).collect();
    Made::full("1-full", 1_000, rows).write(&store, "backup").await;
    let gone = vec![(from..ROWS).map(deleted).collect()];
    Made::incremental("2-more", 1_000, 2_000, gone).write(&store, "backup").await;
    let other = Made {
        table: "arn:aws:dynamodb:eu-west-1:123456789012:table/Other".into(),
        ..Made::full("3-other", 9_000, vec![])
    };
    other.write(&store, "backup").await;
    // What the full one and the windows since do not need may be in any format.
    let needless = Made { format: "ION", ..Made::full("4-needless", 1_000, vec![vec![exported(0)]]) };
    needless.write(&store, "backup").await;
}

async fn delete(client: &Client, table: &str, rows: impl Iterator<Item = usize>) {
    for n in rows {
        let mut delete = client.delete_item().table_name(table);
        for (name, value) in row(n).into_iter().take(2) {
            delete = delete.key(name, value);
        }
        delete.send().await.expect("it is deleted");
    }
}

fn of_exports(embedded: &Embedded, folder: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anabranch"));
    command.args(["backfill", "--to", PET_TRACKER_REPLICA, "--json", "--checkpoint"]).arg(folder.join("job.json"));
    command.arg("--export").arg(folder.join("backup")).args(more);
    connected(&mut command, embedded);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_are_read_with_their_deletions_killed_and_resumed() {
    let embedded = filled().await;
    let client = embedded.dynamodb();
    delete(&client, PET_TRACKER, 500..ROWS).await;
    let folder = tempfile::tempdir().expect("a folder");
    exports(folder.path(), 500).await;
    let slowly = ["--table", PET_TRACKER, "--workers", "2", "--rows-per-second", "400"];
    let mut begun = of_exports(&embedded, folder.path(), &slowly).spawn().expect("it starts");
    let open = || {
        let text = std::fs::read_to_string(folder.path().join("job.json")).unwrap_or_default();
        let job: Value = serde_json::from_str(&text).unwrap_or_default();
        job["open"].as_object().map(|open| (open.len(), open.values().any(|it| it["counts"]["records"] != 0)))
    };
    while open().is_none_or(|(open, any)| open == 7 && !any) {
        assert!(begun.try_wait().expect("a process").is_none(), "it ended before it was killed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begun.kill().expect("it is killed");
    begun.wait().expect("it is gone");
    assert!(open().is_some_and(|(open, _)| open > 0));

    // What comes meanwhile is not part of what was begun.
    let store = LocalFileSystem::new_with_prefix(folder.path()).expect("a folder");
    let since = Made::incremental("9-since", 2_000, 3_000, vec![(0..10).map(deleted).collect()]);
    since.write(&store, "backup").await;
    let mut resumed = slowly.to_vec();
    resumed.push("--resume");
    // Without one of its own it goes on with none.
    let (there, away) = (folder.path().join("backup/AWSDynamoDB/2-more"), folder.path().join("away"));
    std::fs::rename(&there, &away).expect("it is moved");
    let refused = output(of_exports(&embedded, folder.path(), &resumed)).await;
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && errors.contains("2-more, which is not there"), "{errors}");
    std::fs::rename(&away, &there).expect("it is moved back");
    let ended = output(of_exports(&embedded, folder.path(), &resumed)).await;
    let said = String::from_utf8_lossy(&ended.stdout);
    let plan: Value = said.lines().next().and_then(|line| serde_json::from_str(line).ok()).expect("a plan");
    assert_eq!(plan["plan"]["exports"].as_array().map(Vec::len), Some(2), "{plan}");
    assert!(plan["plan"]["warnings"].to_string().contains("9-since has come since this was begun"), "{plan}");
    let report = last_line(&ended);
    assert!(ended.status.success() && report["ok"] == true, "{ended:?}");
    assert_eq!(report["counts"]["records"], 700, "every row of the one, and every change of the other");
    assert_eq!(rows(&client, PET_TRACKER_REPLICA).await, rows(&client, PET_TRACKER).await);
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tombstones_nothing_is_read_but_the_exports() {
    let embedded = filled().await;
    let client = embedded.dynamodb();
    // Nobody may look: there is nothing left of the table.
    client.delete_table().table_name(PET_TRACKER).send().await.expect("it is deleted");
    let folder = tempfile::tempdir().expect("a folder");
    exports(folder.path(), 590).await;
    let more = ["--table", PET_TRACKER, "--tombstones", "7days"];
    let ended = output(of_exports(&embedded, folder.path(), &more)).await;
    assert!(ended.status.success(), "{ended:?}");
    let mut pages = client.scan().table_name(PET_TRACKER_REPLICA).into_paginator().items().send();
    let (mut living, mut tombstones) = (0, 0);
    while let Some(row) = pages.next().await {
        let dead = row.expect("a row").contains_key("anabranchDeleted");
        (living, tombstones) = (living + usize::from(!dead), tombstones + usize::from(dead));
    }
    assert_eq!((living, tombstones), (590, 10));
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_of_exports_is_printed_and_what_cannot_be_is_refused() {
    let embedded = filled().await;
    let folder = tempfile::tempdir().expect("a folder");
    exports(folder.path(), 590).await;
    let plan = output(of_exports(&embedded, folder.path(), &["--table", PET_TRACKER, "--dry-run"])).await;
    let plan = &last_line(&plan)["plan"];
    assert_eq!((&plan["table"], &plan["items"]), (&PET_TRACKER.into(), &610.into()), "{plan}");
    assert_eq!((&plan["exports"][0]["id"], &plan["exports"][1]["files"]), (&"1-full".into(), &1.into()));
    assert_eq!((&plan["looks"], &plan["sweep"]["rows"]), (&json!(610.0 * 3.0), &610.into()), "{plan}");
    assert!(plan["sweep"]["units"].as_f64().expect("a number") > 700.0, "by the size of the table: {plan}");
    assert!(
        plan["warnings"][0].as_str().expect("a text").contains("1970-01-01T00:33:20Z, more than 24 hours ago"),
        "{plan}"
    );
    assert!(rows(&embedded.dynamodb(), PET_TRACKER_REPLICA).await.is_empty());
    let store = LocalFileSystem::new_with_prefix(folder.path()).expect("a folder");
    Made::incremental("5-over", 1_500, 2_500, vec![]).write(&store, "over").await;
    Made { format: "ION", ..Made::incremental("6-ion", 2_000, 2_500, vec![]) }.write(&store, "ion").await;
    let further = |name: &str| folder.path().join(name).display().to_string();
    let (over, ion) = (further("over"), further("ion"));
    for (more, code, said) in [
        (&["--dry-run"][..], 1, "versions of two tables do not compare"),
        (&["--table", "Nobody"], 1, "none of these exports is of table Nobody"),
        (&["--table", PET_TRACKER, "--rows-per-second", "0"], 1, "has to be more than 0"),
        (&["--table", PET_TRACKER, "--export", "/nowhere"], 1, "there is no export in `nowhere`"),
        (
            &["--table", PET_TRACKER, "--export", &over],
            1,
            "from 1970-01-01T00:33:20Z until 1970-01-01T00:41:40Z, which",
        ),
        (&["--table", PET_TRACKER, "--export", &ion], 1, "6-ion` has the format ION"),
        (&["--rate", "5"], 2, "cannot be used with"),
    ] {
        let refused = output(of_exports(&embedded, folder.path(), more)).await;
        let errors = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(code), "{errors}");
        assert!(errors.contains(said), "{errors}");
    }
    assert!(rows(&embedded.dynamodb(), PET_TRACKER_REPLICA).await.is_empty());

    Made::incremental("7-next", 1_999, 2_500, vec![]).write(&store, "next").await;
    let exact = Made { millis: 28, ..Made::incremental("8-exact", 1_000, 1_999, vec![]) };
    exact.write(&store, "next").await;
    let next = further("next");
    let plan =
        output(of_exports(&embedded, folder.path(), &["--table", PET_TRACKER, "--dry-run", "--export", &next])).await;
    let warnings = last_line(&plan)["plan"]["warnings"].to_string();
    assert!(warnings.contains("7-next begins less than a second before 8-exact ends"), "{warnings}");
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_not_its_own_replica() {
    let embedded = filled().await;
    let folder = tempfile::tempdir().expect("a folder");
    exports(folder.path(), 590).await;
    let backup = folder.path().join("backup").display().to_string();
    // The embedded DynamoDB has the same tables in every region.
    let elsewhere = ["--to-region", "eu-west-1"];
    for (more, said) in
        [(&[][..], "would be its own replica"), (&["--export", &backup], "would be looked up in itself")]
    {
        for more in [more, &[more, &elsewhere].concat()] {
            let refused = output(onto_itself(&embedded, &folder.path().join("job.json"), more)).await;
            let errors = String::from_utf8_lossy(&refused.stderr);
            assert!(!refused.status.success() && errors.contains(said), "{errors}");
        }
    }
    embedded.stop().await.expect("it stops");
}

/// Into a table of the same name.
fn onto_itself(embedded: &Embedded, checkpoint: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anabranch"));
    command.args(["backfill", "--table", PET_TRACKER, "--to", PET_TRACKER, "--checkpoint"]).arg(checkpoint).args(more);
    connected(&mut command, embedded);
    command
}

/// DynamoDB Local has tables of its own in every region, and gives them all the same ARN.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_dynamodb_local_has_its_replica_in_another_region() {
    let folder = tempfile::tempdir().expect("a folder");
    exports(folder.path(), 590).await;
    let backup = folder.path().join("backup").display().to_string();
    for (more, count) in [(&[][..], ROWS), (&["--export", &backup], 590)] {
        let (here, there) = (filled().await, Embedded::start().await.expect("an embedded DynamoDB"));
        there.create_table(PET_TRACKER, None).await.expect("a table");
        let endpoints = [here.endpoint().to_owned(), there.endpoint().to_owned()];
        let local = retold::start("arn:aws:dynamodb:ddblocal:000000000000:", move |asked| {
            Ok(endpoints[usize::from(asked.region == "us-east-1")].clone())
        });
        let local = local.await;
        let run = async |more: &[&str]| {
            let mut command = onto_itself(&here, &folder.path().join("job.json"), more);
            command.env("AWS_ENDPOINT_URL", &local);
            output(command).await
        };
        assert!(!run(more).await.status.success(), "its own replica");
        let copied = run(&[more, &["--to-region", "us-east-1"]].concat()).await;
        assert!(copied.status.success(), "{copied:?}");
        assert_eq!(rows(&there.dynamodb(), PET_TRACKER).await.len(), count);
        here.stop().await.expect("it stops");
        there.stop().await.expect("it stops");
    }
}

/// As of a real account; the exports are of the first one.
const PROD: &str = "arn:aws:dynamodb:eu-west-1:123456789012:";
const DEV: &str = "arn:aws:dynamodb:eu-west-1:210987654321:";

/// Whatever asks the table that was exported for this is denied.
async fn denying(embedded: &Embedded, arn: &'static str, operation: &'static str) -> String {
    let endpoint = embedded.endpoint().to_owned();
    let denied = move |asked: retold::Asked<'_>| asked.operation == operation && asked.body["TableName"] == PET_TRACKER;
    retold::start(arn, move |asked| if denied(asked) { Err("AccessDeniedException") } else { Ok(endpoint.clone()) })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_looked_up_in_the_table_that_was_exported_or_not_at_all() {
    let embedded = filled().await;
    let client = embedded.dynamodb();
    let folder = tempfile::tempdir().expect("a folder");
    exports(folder.path(), 590).await;
    let run = async |endpoint: String, more: &[&str]| {
        let mut command = of_exports(&embedded, folder.path(), &[&["--table", PET_TRACKER][..], more].concat());
        command.env("AWS_ENDPOINT_URL", endpoint);
        output(command).await
    };
    // Whose table it is takes nothing but its description.
    let brought = run(denying(&embedded, PROD, "DescribeTimeToLive").await, &[]).await;
    assert!(brought.status.success(), "{brought:?}");
    let replica = rows(&client, PET_TRACKER_REPLICA).await;
    assert_eq!(replica.len(), 590);

    // The table of another account has nothing of it.
    client.delete_table().table_name(PET_TRACKER).send().await.expect("it is deleted");
    embedded.create_table(PET_TRACKER, None).await.expect("a table");
    let refusals = [
        (denying(&embedded, DEV, "DescribeTimeToLive").await, [DEV, "in the wrong one"]),
        (denying(&embedded, DEV, "DescribeTable").await, ["dynamodb:DescribeTable", "--tombstones"]),
        (denying(&embedded, PROD, "DescribeTable").await, [PROD, "AccessDeniedException"]),
    ];
    let refused = async |endpoint: String, said: [&str; 2]| {
        let refused = run(endpoint, &[]).await;
        let errors = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.iter().all(|said| errors.contains(said)), "{said:?}: {errors}");
        assert_eq!(rows(&client, PET_TRACKER_REPLICA).await, replica);
        assert!(!folder.path().join("job.json").exists(), "nothing was begun");
    };
    for (endpoint, said) in refusals {
        refused(endpoint, said).await;
    }
    client.delete_table().table_name(PET_TRACKER).send().await.expect("it is deleted");
    refused(embedded.endpoint().to_owned(), ["no table of that name", "--tombstones"]).await;
    // With tombstones nobody has to be asked.
    let tombstones = ["--tombstones", "7days", "--generation", "1"];
    let brought = run(denying(&embedded, DEV, "DescribeTable").await, &tombstones).await;
    assert!(brought.status.success(), "{brought:?}");
    embedded.stop().await.expect("it stops");
}
