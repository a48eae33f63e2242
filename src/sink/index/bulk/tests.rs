//! Bodies, repetitions and halves, on an index in memory.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::*;
use crate::sink::{
    index::{Asked, DocumentId, Fault, Fields, Memory},
    table::{item, text},
};

fn id(number: usize) -> DocumentId {
    DocumentId::of(&item([("PK", text(number.to_string()))]))
}

fn put(number: usize) -> Operation {
    let document = serde_json::json!({"number": number});
    Operation::put("pets", id(number), "1", &document, &Fields::default()).unwrap()
}

fn puts(count: usize) -> Vec<Operation> {
    (0..count).map(put).collect()
}

async fn answers(index: &Memory, operations: Vec<Operation>, limits: Limits) -> HashMap<usize, Answer> {
    let answers: Vec<_> = write_documents(index, operations, limits).collect().await;
    let by_index: HashMap<_, _> = answers.iter().cloned().map(|answer| (answer.0, answer)).collect();
    assert_eq!(by_index.len(), answers.len(), "one answer per operation");
    by_index
}

fn in_seconds(seconds: u64) -> Limits {
    Limits { until: Some(Instant::now() + Duration::from_secs(seconds)), ..Limits::default() }
}

fn too_large(index: &Memory) -> IndexError {
    IndexError::TooLarge { server: index.name().into(), bytes: 9 }
}

#[test]
fn bodies_keep_to_bytes_and_operations() {
    let sizes = |bytes, operations| {
        let limits = Limits { bytes, operations, ..Limits::default() };
        bodies(puts(10), limits).iter().map(|body| body.operations.len()).collect::<Vec<_>>()
    };
    let one = put(0).wire_size();
    assert_eq!(sizes(usize::MAX, 4), [4, 4, 2]);
    assert_eq!(sizes(3 * one, 1_000), [3, 3, 3, 1]);
    assert_eq!(sizes(1, 1_000), [1; 10], "an operation that is too large is sent alone");
    assert!(bodies(Vec::new(), Limits::default()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_the_operation_that_failed_is_sent_again() {
    let (asked, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let index = Memory::new("search");
    let failure = index.failure();
    let (seen, failing) = (Arc::clone(&asked), Arc::clone(&failed));
    let index = index.with_faults(move |what| match what {
        Asked::Operation(operation) => {
            seen.fetch_add(1, Ordering::Relaxed);
            let fails = *operation.id() == id(7) && failing.fetch_add(1, Ordering::Relaxed) < 3;
            if fails { Fault::Before(failure.clone()) } else { Fault::None }
        }
        _ => Fault::None,
    });
    let answers = answers(&index, puts(10), Limits::default()).await;
    assert!(answers.len() == 10 && answers.values().all(|(_, answer)| answer.is_ok()));
    assert_eq!(asked.load(Ordering::Relaxed), 10 + 3);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_found_out_by_sending_again() {
    let once = AtomicUsize::new(0);
    let index = Memory::new("search");
    let failure = index.failure();
    let index = index.with_faults(move |what| match what {
        Asked::Bulk(_) if once.fetch_add(1, Ordering::Relaxed) == 0 => Fault::After(failure.clone()),
        _ => Fault::None,
    });
    let answers = answers(&index, puts(5), Limits::default()).await;
    assert!(answers.values().all(|(_, answer)| matches!(answer, Ok(Written::Stale))));
    assert_eq!(index.documents().len(), 5);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_halved() {
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let index = Memory::new("search");
    let (large, seen) = (too_large(&index), Arc::clone(&sizes));
    let index = index.with_faults(move |what| match what {
        Asked::Bulk(operations) => {
            seen.lock().unwrap().push(operations.len());
            let giant = operations.iter().any(|operation| *operation.id() == id(2));
            if operations.len() > 3 || giant { Fault::Before(large.clone()) } else { Fault::None }
        }
        _ => Fault::None,
    });
    let answers = answers(&index, puts(8), Limits::default()).await;
    assert!(matches!(answers[&2].1, Err(IndexError::TooLarge { .. })));
    assert_eq!(answers.values().filter(|(_, answer)| answer.is_ok()).count(), 7);
    assert_eq!(*sizes.lock().unwrap(), [8, 4, 2, 2, 1, 1, 4, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_keeps_failing_is_given_up_at_the_deadline_and_starts_no_more() {
    for limits in [in_seconds(3), Limits::default()] {
        let index = Memory::new("search");
        let failure = index.failure();
        let index = index.with_faults(move |what| match what {
            Asked::Operation(operation) if *operation.id() == id(1) => Fault::Before(failure.clone()),
            _ => Fault::None,
        });
        let limits = Limits { operations: 4, concurrency: 1, ..limits };
        let answers = answers(&index, puts(12), limits).await;
        assert_eq!(answers.len(), 4, "nothing behind the failed body was started");
        assert!(matches!(answers[&1].1, Err(IndexError::Failed { .. })));
        assert_eq!(index.documents().len(), 3);
    }
}

#[tokio::test]
async fn a_wrong_setup_is_not_hammered() {
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&asked);
    let denied = IndexError::Denied { server: "search".into(), source: Arc::from(Box::from("HTTP status 403")) };
    let index = Memory::new("search").with_faults(move |_| {
        seen.fetch_add(1, Ordering::Relaxed);
        Fault::Before(denied.clone())
    });
    let answers = answers(&index, puts(3), Limits::default()).await;
    assert!(answers.len() == 3 && answers.values().all(|(_, answer)| answer.is_err()));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_hangs_ends_at_the_deadline() {
    let index = Memory::new("search").with_faults(|_| Fault::Hang);
    let limits = Limits { operations: 2, concurrency: 2, ..in_seconds(3) };
    let answers = answers(&index, puts(10), limits).await;
    assert_eq!(answers.len(), 4, "two requests were started, then the time was over");
    assert!(answers.values().all(|(_, answer)| matches!(answer, Err(IndexError::OutOfTime { .. }))));
}

#[tokio::test]
async fn too_few_answers_are_a_failure() {
    struct Mute;
    impl Index for Mute {
        fn name(&self) -> &str {
            "mute"
        }

        fn bulk<'a>(
            &'a self,
            _: &'a [Operation],
        ) -> futures_util::future::BoxFuture<'a, Result<Vec<Result<Written, IndexError>>, IndexError>> {
            Box::pin(ready(Ok(Vec::new())))
        }

        fn read<'a>(
            &'a self,
            _: &'a str,
            _: &'a DocumentId,
        ) -> futures_util::future::BoxFuture<'a, Result<Option<crate::sink::index::Document>, IndexError>> {
            Box::pin(ready(Ok(None)))
        }

        fn create<'a>(
            &'a self,
            _: &'a str,
            _: &'a crate::sink::index::Document,
        ) -> futures_util::future::BoxFuture<'a, Result<crate::sink::index::Created, IndexError>> {
            Box::pin(ready(Ok(crate::sink::index::Created::Existed)))
        }
    }
    let until = Some(Instant::now());
    let mut sending = Sending { index: &Mute, until, answers: Vec::new() };
    sending.body(bodies(puts(2), Limits::default()).remove(0)).await;
    assert!(sending.answers.len() == 2 && sending.answers.iter().all(|(_, answer)| answer.is_err()));
}
