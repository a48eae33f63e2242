//! What a batch is counted as, and that the chapters name what there is.

mod support;

use std::{collections::BTreeSet, fs, path::Path};

use anabranch::{
    dispatch::{BatchReport, Cause, Dispatcher},
    handler::{Context, Failure, HandlerExt, Outcome, Skip},
    metric::{Collector, Emf},
    record::{Change, Record},
    router::Router,
    sink::dead_letter::Memory,
};
use serde_json::{Value, json};
use support::{Row, Step, payload};

async fn handle(record: Record<Row>) -> Result<Outcome, Failure> {
    match &record.change {
        Change::Insert { new } | Change::Modify { new, .. } => match new.value {
            13 => Err(Failure::retry("thirteen")),
            66 => Err(Failure::reject("sixty-six")),
            2 => Ok(Outcome::Skipped(Skip::Stale)),
            _ => Ok(Outcome::Applied),
        },
        Change::Remove { .. } => Ok(Outcome::Applied),
    }
}

fn steps(values: &[u64]) -> Vec<Step> {
    let step = |(item, value): (u8, &u64)| Step { item, value: Some(*value).filter(|value| *value > 0) };
    (0..).zip(values).map(step).collect()
}

/// The figures of a batch, and its report.
async fn counted(dispatcher: &Dispatcher, payload: Vec<u8>) -> (Value, Option<BatchReport>) {
    let collector = Collector::default();
    let report = collector.scope(dispatcher.dispatch(payload, &Context::default())).await.ok();
    let lines = Emf::Log.lines(&collector, "f", &[]);
    (serde_json::from_str(lines.trim_end()).expect("one line of JSON"), report)
}

fn assert_figures(line: &Value, expected: Value) {
    for (name, value) in expected.as_object().expect("figures by name") {
        assert_eq!(&line[name], value, "{name} in {line}");
    }
}

#[tokio::test]
async fn each_record_is_counted_once() {
    let router = Router::by_attribute("entityType")
        .route("ROW", handle.when(|record| record.change.current().is_none_or(|row| row.value != 5)));
    let dispatcher = Dispatcher::with_dead_letters(router, Memory::default());
    let (line, report) = counted(&dispatcher, payload(&steps(&[1, 2, 66, 5, 0, 1, 13, 1]), 0)).await;
    assert_figures(
        &line,
        json!({
            "RecordsRead": 8, "Inserts": 7, "Modifies": 0, "Removes": 1,
            "RecordsApplied": 3, "RecordsSkipped": 2, "SkippedStale": 1, "SkippedFiltered": 1,
            "RecordsRejected": 1, "DeadLetters": 1, "RecordsRedelivered": 2,
            "PrefixReached": 6, "BatchesUnfinished": 1, "BatchesBlocked": 0, "BatchesOutOfTime": 0,
            "Entities": {"ROW": {"EntityApplied": 3, "EntitySkipped": 2, "EntityFailed": 2}}
        }),
    );
    assert_eq!(report.map(|report| report.applied), Some(3));
}

#[tokio::test]
async fn a_batch_that_gets_nowhere_is_blocked() {
    let dispatcher = Dispatcher::new(Router::by_attribute("entityType").route("ROW", handle));
    let (line, _) = counted(&dispatcher, payload(&steps(&[66, 1]), 0)).await;
    assert_figures(
        &line,
        json!({
            "BatchesBlocked": 1, "BatchesUnfinished": 1, "PrefixReached": 0, "RecordsRejected": 1, "DeadLetters": 0
        }),
    );
}

#[tokio::test]
async fn a_batch_without_trouble_says_so() {
    let dispatcher = Dispatcher::new(Router::by_attribute("entityType").route("ROW", handle));
    let (line, _) = counted(&dispatcher, payload(&steps(&[1; 40]), 0)).await;
    assert_figures(
        &line,
        json!({
            "RecordsRead": 40, "RecordsApplied": 40, "PrefixReached": 40, "BatchesUnfinished": 0, "BatchesBlocked": 0,
            "RecordsRejected": 0, "DeadLetters": 0, "RecordsRedelivered": 0
        }),
    );
    let time = |name: &str| line[name].as_f64().expect("a time");
    assert!(time("IteratorLag") > 0.0 && line.get("RemainingTime").is_none(), "{line}");
    assert!(time("DecodeTime") > 0.0 && time("ReadTime") + time("HandlerTime") < time("BatchTime"), "{line}");
}

#[tokio::test]
async fn what_is_no_batch_is_a_failure() {
    let dispatcher = Dispatcher::new(Router::by_attribute("entityType").route("ROW", handle));
    let (line, report) = counted(&dispatcher, b"[]".to_vec()).await;
    assert_figures(&line, json!({"BatchesFailed": 1}));
    assert!(report.is_none());
}

// ------------------------------------------------------------------------------------------------------------------ the chapters

fn chapter(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/docs").join(name);
    fs::read_to_string(path).expect("a chapter")
}

/// All of our code in one text.
fn code(folder: &Path) -> String {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let text = |path: std::path::PathBuf| match path.extension() {
        _ if path.is_dir() => code(&path),
        Some(kind) if kind == "rs" => fs::read_to_string(&path).expect("code"),
        _ => String::new(),
    };
    entries.map(text).collect()
}

/// The parts of a text that stand between two marks.
fn between<'t>(text: &'t str, from: &'t str, to: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(from).skip(1).filter_map(move |rest| rest.split_once(to).map(|(part, _)| part))
}

/// The words in backticks in the first column of the tables.
fn first_column(chapter: &str) -> BTreeSet<&str> {
    let rows = chapter.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| row.split('|').nth(1).into_iter().flat_map(|cell| cell.split('`').skip(1).step_by(2))).collect()
}

fn is_metric(name: &&str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase()) && name.bytes().all(|byte| byte.is_ascii_alphabetic())
}

#[test]
fn the_chapter_names_every_metric_and_no_other() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let meter = fs::read_to_string(source.join("dispatch/meter.rs")).expect("the meter");
    let adapters: String = ["aws", "sink"].iter().map(|room| code(&source.join(room))).collect();
    let labels = BTreeSet::from(["Entity"]);
    let recorded = meter.split('"').skip(1).step_by(2).chain(between(&adapters, "counter!(\"", "\""));
    let recorded: BTreeSet<&str> = recorded.filter(is_metric).filter(|name| !labels.contains(name)).collect();
    let chapter = chapter("metric.md");
    let named: BTreeSet<&str> = first_column(&chapter).into_iter().filter(is_metric).collect();
    assert_eq!(recorded, named);
}

#[test]
fn operators_are_told_of_what_there_is() {
    let (operate, metric) = (chapter("operate.md"), chapter("metric.md"));
    let alarms = operate.split("Worth an alarm of your own").nth(1).expect("the table");
    let alarms = first_column(alarms.split("\n\n#").next().expect("its rows"));
    let known = first_column(&metric);
    assert!(alarms.iter().all(|name| known.contains(name)) && alarms.len() > 4, "{alarms:?}");
    let code = code(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let messages = first_column(between(&operate, "| `message` |", "\n\n").next().expect("the table of messages"));
    for message in &messages {
        assert!(code.contains(&format!("\"{message}\"")), "no line of the log says `{message}`");
    }
    assert!(messages.len() > 5);
}

#[test]
fn operators_are_told_of_every_cause() {
    let (route, reason, sink) = (String::new, String::new, String::new);
    let causes = [
        Cause::Retry { route: route(), reason: reason() },
        Cause::NotBuried { reason: reason(), sink: sink() },
        Cause::Unanswered { route: route() },
        Cause::Deadline,
        Cause::Held,
    ];
    let operate = chapter("operate.md");
    let told = first_column(between(&operate, "`cause` is one of", "\n\nThe records").next().expect("the table"));
    assert_eq!(causes.iter().map(Cause::as_str).collect::<BTreeSet<_>>(), told);
}
