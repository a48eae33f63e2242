//! `anabranch scan` and `anabranch export` as their users run them: what they print and write, stopped, resumed and refused.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use anabranch::testing::{
    embedded::{Embedded, PET_TRACKER},
    proxy::{Fault, FaultProxy},
};
use aws_sdk_dynamodb::types::AttributeValue;
use flate2::read::GzDecoder;
use serde_json::{Value, json};

const ROWS: usize = 300;

/// A table of owners with some pets each.
async fn filled() -> Embedded {
    let embedded = Embedded::start().await.expect("an embedded DynamoDB");
    embedded.create_table(PET_TRACKER, None).await.expect("a table");
    embedded.put_rows(PET_TRACKER, (0..ROWS).map(row)).await.expect("rows are written");
    embedded
}

fn row(n: usize) -> [(String, AttributeValue); 5] {
    let text = |text: String| AttributeValue::S(text);
    [
        ("PK".to_owned(), text(format!("USER#{}", n / 10))),
        ("SK".to_owned(), text(format!("PET#{:03}", n))),
        ("name".to_owned(), text(format!("Mia, the {n}th"))),
        ("size".to_owned(), AttributeValue::N(n.to_string())),
        // Some pages for each segment.
        ("about".to_owned(), text("x".repeat(4_000))),
    ]
}

fn command(embedded: &Embedded, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anabranch"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("AWS_ENDPOINT_URL", embedded.endpoint())
        .env("AWS_REGION", "local")
        .env("AWS_ACCESS_KEY_ID", "embedded")
        .env("AWS_SECRET_ACCESS_KEY", "embedded")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

async fn run(embedded: &Embedded, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = command(embedded, folder, arguments);
    tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("no panic")
}

async fn good(embedded: &Embedded, folder: &Path, arguments: &[&str]) -> Output {
    let output = run(embedded, folder, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output
}

fn lines(text: &[u8]) -> Vec<Value> {
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("JSON"))
        .collect()
}

fn last_line(text: &[u8]) -> Value {
    let text = String::from_utf8_lossy(text);
    serde_json::from_str(text.lines().last().expect("a line")).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The sizes of items, which are their numbers.
fn sizes(items: &[Value]) -> Vec<u64> {
    items.iter().map(|item| item["size"].as_u64().expect("a number")).collect()
}

fn everything() -> Vec<u64> {
    (0..ROWS as u64).collect()
}

/// Ctrl-C.
fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("there is a kill").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_item_is_printed_once() {
    let (embedded, folder) = (filled().await, tempfile::tempdir().expect("a folder"));
    let run = async |arguments: &[&str]| good(&embedded, folder.path(), arguments).await;
    let output = run(&["scan", PET_TRACKER, "--json"]).await;
    let items = lines(&output.stdout);
    assert_eq!(sizes(&items).into_iter().collect::<BTreeSet<_>>().len(), ROWS);
    assert_eq!(items[0]["about"].as_str().expect("a text").len(), 4_000);
    let summary = last_line(&output.stderr);
    assert_eq!(
        (&summary["counts"]["items"], &summary["ok"], &summary["checkpoint"]),
        (&json!(ROWS), &json!(true), &Value::Null)
    );

    let output = run(&["scan", PET_TRACKER, "--dynamodb-json", "--workers", "3", "--segments", "7"]).await;
    assert!(output.stderr.is_empty(), "nothing but the items, where nobody looks: {output:?}");
    let mut numbers: Vec<u64> = lines(&output.stdout)
        .iter()
        .map(|line| line["Item"]["size"]["N"].as_str().expect("digits").parse().expect("a number"))
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, everything());
    let counted = run(&["scan", PET_TRACKER, "--count", "--filter", "size < :n", "--values", r#"{":n":42}"#]).await;
    assert_eq!(counted.stdout, b"42\n");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0, "and no file");
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_dynamodb_needs_no_environment() {
    let (embedded, folder) = (filled().await, tempfile::tempdir().expect("a folder"));
    let port = embedded.endpoint().rsplit(':').next().expect("a port").to_owned();
    let mut command = command(&embedded, folder.path(), &["scan", &format!("--local={port}"), PET_TRACKER, "--count"]);
    for name in ["AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        command.env_remove(name);
    }
    let output = tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("no panic");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"300\n"[..]), "{output:?}");
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_has_conditions_values_and_an_order() {
    let (embedded, folder) = (filled().await, tempfile::tempdir().expect("a folder"));
    let values = r#"{":pk":"USER#7",":n":{"N":"72"}}"#;
    let query = ["scan", PET_TRACKER, "--key-condition", "PK = :pk", "--backward", "--filter", "#s > :n", "--values"];
    let more = [values, "--names", r##"{"#s":"size"}"##, "--project", "name,size", "--consistent", "--page-limit", "3"];
    let output = good(&embedded, folder.path(), &[&query[..], &more].concat()).await;
    let items = lines(&output.stdout);
    assert_eq!(sizes(&items), [79, 78, 77, 76, 75, 74, 73]);
    assert_eq!(items[0], json!({"PK": "USER#7", "SK": "PET#079", "name": "Mia, the 79th", "size": 79}));
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_was_stopped_goes_on_where_it_stood() {
    let (embedded, folder) = (filled().await, tempfile::tempdir().expect("a folder"));
    for segments in ["1", "4"] {
        let scan = ["scan", PET_TRACKER, "--segments", segments, "--workers", "2", "--page-limit", "5", "--rate", "60"];
        let mut begun = command(&embedded, folder.path(), &scan).spawn().expect("it starts");
        let mut out = BufReader::new(begun.stdout.take().expect("piped"));
        let mut printed = Vec::new();
        // It is under way.
        out.read_until(b'\n', &mut printed).expect("a line");
        interrupt(&begun);
        out.read_to_end(&mut printed).expect("text");
        let ended = begun.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains("go on with --resume .anabranch/scan-PetTracker.json"), "{said}");
        let mut sizes_seen = sizes(&lines(&printed));
        assert!(!sizes_seen.is_empty() && sizes_seen.len() < ROWS, "{}", sizes_seen.len());

        let file = folder.path().join(".anabranch/scan-PetTracker.json");
        let cursors = fs::read_to_string(&file).expect("it is there");
        let other =
            ["scan", PET_TRACKER, "--filter", "size < :n", "--values", r#"{":n":1}"#, "--start-cursor", &cursors];
        let refused = run(&embedded, folder.path(), &other).await;
        assert!(String::from_utf8_lossy(&refused.stderr).contains("of the cursor is"), "{refused:?}");

        let rest =
            good(&embedded, folder.path(), &["scan", PET_TRACKER, "--resume", ".anabranch/scan-PetTracker.json"]).await;
        sizes_seen.extend(sizes(&lines(&rest.stdout)));
        sizes_seen.sort_unstable();
        assert_eq!(sizes_seen, everything(), "each once");
        assert!(!file.exists(), "nothing is left");
    }
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_taken_one_after_the_other() {
    let (embedded, folder) = (filled().await, tempfile::tempdir().expect("a folder"));
    let first = ["scan", PET_TRACKER, "--take", "120", "--checkpoint", "here.json", "--json"];
    let output = good(&embedded, folder.path(), &first).await;
    assert_eq!(last_line(&output.stderr)["checkpoint"], "here.json");
    let mut seen = sizes(&lines(&output.stdout));
    let cursor = fs::read_to_string(folder.path().join("here.json")).expect("it is there");
    let cursor = cursor.trim_start_matches('[').trim_end_matches(']').to_owned();
    let rest = good(&embedded, folder.path(), &["scan", PET_TRACKER, "--start-cursor", &cursor]).await;
    assert_eq!(seen.len(), 120);
    seen.extend(sizes(&lines(&rest.stdout)));
    seen.sort_unstable();
    assert_eq!(seen, everything());
    good(&embedded, folder.path(), &["scan", PET_TRACKER, "--take", "1"]).await;
    assert!(!folder.path().join(".anabranch").exists(), "a look at an item leaves no file");
    embedded.stop().await.expect("it stops");
}

/// As over a line of a megabit a second.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_takes_its_time_is_waited_for() {
    let (embedded, folder) = (filled().await, tempfile::tempdir().expect("a folder"));
    let proxy = FaultProxy::start(embedded.endpoint()).await.expect("a proxy");
    let mut slow = Some(Fault::Slow(Duration::from_secs(6)));
    proxy.set_faults(move |asked| match asked.operation {
        "Scan" => slow.take().unwrap_or(Fault::None),
        _ => Fault::None,
    });
    let scan = ["scan", PET_TRACKER, "--take", "3", "--endpoint", proxy.endpoint()];
    assert_eq!(lines(&good(&embedded, folder.path(), &scan).await.stdout).len(), 3);
    assert_eq!(proxy.count("Scan"), 1, "it is paid for once");
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn filtered_items_are_taken_one_after_the_other_too() {
    let (embedded, folder) = (filled().await, tempfile::tempdir().expect("a folder"));
    let filter = ["--filter", "size >= :n", "--values", r#"{":n":0}"#];
    let first = [&["scan", PET_TRACKER, "--take", "70", "--checkpoint", "here.json"], &filter[..]].concat();
    let next = [&["scan", PET_TRACKER, "--take", "70", "--resume", "here.json"], &filter[..]].concat();
    let mut seen = sizes(&lines(&good(&embedded, folder.path(), &first).await.stdout));
    while folder.path().join("here.json").exists() {
        assert!(seen.len() <= everything().len(), "it comes to an end");
        seen.extend(sizes(&lines(&good(&embedded, folder.path(), &next).await.stdout)));
    }
    seen.sort_unstable();
    assert_eq!(seen, everything(), "each once");
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_nobody_reads_on_is_an_end() {
    let (embedded, folder) = (filled().await, tempfile::tempdir().expect("a folder"));
    let mut begun = command(&embedded, folder.path(), &["scan", PET_TRACKER]).spawn().expect("it starts");
    let mut out = BufReader::new(begun.stdout.take().expect("piped"));
    out.read_until(b'\n', &mut Vec::new()).expect("a line");
    drop(out);
    let ended = begun.wait_with_output().expect("it ends");
    assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]), "as behind | head");
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_hold_every_item_in_their_format() {
    let (embedded, folder) = (filled().await, tempfile::tempdir().expect("a folder"));
    let run = async |arguments: &[&str]| {
        good(&embedded, folder.path(), &[&["export", PET_TRACKER], arguments].concat()).await
    };
    let output = run(&["pets.jsonl.gz", "--json"]).await;
    let printed = lines(&output.stdout);
    assert_eq!(printed[0]["plan"]["table"], PET_TRACKER);
    let file = fs::read(folder.path().join("pets.jsonl.gz")).expect("a file");
    assert_eq!(printed[1]["written"]["items"], ROWS);
    assert_eq!((&printed[1]["written"]["fileBytes"], &printed[1]["ok"]), (&json!(file.len()), &json!(true)));
    let mut text = Vec::new();
    GzDecoder::new(&file[..]).read_to_end(&mut text).expect("gzip");
    let mut numbers = sizes(&lines(&text));
    numbers.sort_unstable();
    assert_eq!(numbers, everything());

    run(&["new/pets.csv", "--columns", "size,name", "--workers", "1"]).await;
    let text = fs::read_to_string(folder.path().join("new/pets.csv")).expect("a file");
    let rows: BTreeMap<usize, &str> = text
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').expect("two columns"))
        .map(|(size, name)| (size.parse().expect("a number"), name))
        .collect();
    assert!(text.starts_with("size,name\n") && rows.len() == ROWS, "{text}");
    assert_eq!(rows[&7], r#""Mia, the 7th""#);

    let query = ["--key-condition", "PK = :pk", "--values", r#"{":pk":"USER#3"}"#, "--format", "dynamodb-json"];
    let output = run(&[&["user"][..], &query].concat()).await;
    let text = fs::read(folder.path().join("user")).expect("a file");
    assert_eq!(lines(&text)[0]["Item"]["SK"], json!({"S": "PET#030"}));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("done       10 items"), "{output:?}");
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_was_stopped_or_failed_leaves_what_was_there() {
    let (embedded, folder) = (filled().await, tempfile::tempdir().expect("a folder"));
    fs::write(folder.path().join("pets.jsonl"), "as it was").expect("written");
    let slowly = ["export", PET_TRACKER, "pets.jsonl", "--page-limit", "2", "--rate", "20"];
    let mut begun = command(&embedded, folder.path(), &slowly).spawn().expect("it starts");
    let (mut said, mut errors) = (String::new(), BufReader::new(begun.stderr.take().expect("piped")));
    // It is under way.
    errors.read_line(&mut said).expect("how far it is");
    interrupt(&begun);
    errors.read_to_string(&mut said).expect("text");
    assert_eq!(begun.wait().expect("it ends").code(), Some(1), "{said}");
    assert!(said.ends_with("stopped: nothing was written\n"), "{said}");
    let failed = run(&embedded, folder.path(), &["export", "Nowhere", "pets.jsonl"]).await;
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert_eq!(fs::read_to_string(folder.path().join("pets.jsonl")).expect("a file"), "as it was");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "and no part of another");
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_printed_and_nothing_is_read() {
    let (embedded, folder) = (filled().await, tempfile::tempdir().expect("a folder"));
    for command in [&["scan", PET_TRACKER][..], &["export", PET_TRACKER, "pets.jsonl"]] {
        let output =
            good(&embedded, folder.path(), &[command, &["--dry-run", "--json", "--workers", "2"]].concat()).await;
        let plan = &last_line(&output.stdout)["plan"];
        assert_eq!((&plan["table"], &plan["workers"]), (&PET_TRACKER.into(), &json!(2)), "{plan}");
        assert!(
            plan["dollars"].is_number() && plan["warnings"] == json!([]),
            "the stream is no business of this: {plan}"
        );
        let query = ["--dry-run", "--key-condition", "PK = :pk"];
        let none = run(&embedded, folder.path(), &[command, &query].concat()).await;
        assert!(String::from_utf8_lossy(&none.stderr).contains("there is no plan"), "{none:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_and_told() {
    let (embedded, folder) = (filled().await, tempfile::tempdir().expect("a folder"));
    let (scan, export) = (["scan", PET_TRACKER], ["export", PET_TRACKER]);
    let cases: [(&[&str], &[&str], i32, &str); 13] = [
        (&["scan"], &["Nowhere"], 1, "Nowhere"),
        (&scan, &["--values", "{"], 2, "--values"),
        (&scan, &["--rate", "0"], 2, "more than 0"),
        (&scan, &["--count", "--take", "3"], 2, "cannot be used with"),
        (&scan, &["--key-condition", "PK = :pk", "--segments", "3"], 2, "cannot be used with"),
        (&scan, &["--index", "byName", "--consistent"], 1, "cannot be read consistently"),
        (&scan, &["--resume", "nowhere.json"], 1, "does not say where a scan stands"),
        (&scan, &["--local", "--endpoint", "http://127.0.0.1:1"], 2, "cannot be used with"),
        (&scan, &["--start-cursor", "[7]"], 2, "--start-cursor"),
        (&export, &["pets"], 1, "does not say its format"),
        (&export, &["pets.csv"], 1, "CSV needs its columns"),
        (&export, &["pets.jsonl", "--columns", "a"], 1, "only CSV has columns"),
        (&export, &["s3:///pets.jsonl"], 1, "names no bucket"),
    ];
    for (command, more, code, said) in cases {
        let output = run(&embedded, folder.path(), &[command, more].concat()).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{more:?}: {errors}");
        assert!(errors.contains(said) && output.stdout.iter().all(|byte| *byte != b'{'), "{more:?}: {errors}");
    }
    embedded.stop().await.expect("it stops");
}

#[test]
fn help_teaches() {
    for (command, taught) in [
        ("scan", ["--resume", "'PK = :pk AND begins_with(SK, :prefix)'", ".anabranch/scan-TABLE.json", "--rate"]),
        ("export", ["s3://BUCKET/KEY", "there as a whole or not at all", "--columns", "backfill --export"]),
        ("backfill", ["--export <FOLDER|s3://BUCKET/PREFIX>", "newest full export", "--tombstones", "--generation 1"]),
    ] {
        let mut help = Command::new(env!("CARGO_BIN_EXE_anabranch"));
        let output = help.args([command, "--help"]).env("COLUMNS", "10000").output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success());
        for taught in taught {
            assert!(text.contains(taught), "{command} does not tell of {taught}:\n{text}");
        }
    }
}
