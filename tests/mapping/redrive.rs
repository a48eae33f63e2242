//! What a failure destination got, handed over again.

use std::{
    sync::{Arc, Mutex},
    time::SystemTime,
};

use anabranch::{
    pattern::FilterCriteria,
    sink::dead_letter::DeadLetter,
    source::{
        mapping::{Answer, FaultKind, Target},
        redrive::{Lost, Redrive, RedriveError},
    },
    testing::streams::{Call, Fault, Rehearsal, StreamSimulator},
};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, ready};
use serde_json::{Value, json};

use crate::play::{FUNCTION, put, raising, seconds, with};

/// A function that notes what it gets, and names the records that it fails with, each as often as it is told.
#[derive(Clone, Default)]
struct Noting {
    got: Arc<Mutex<Vec<Vec<u64>>>>,
    fails: Arc<Mutex<Vec<u64>>>,
}

impl Noting {
    fn failing(records: &[u64]) -> Self {
        Self { fails: Arc::new(Mutex::new(records.to_vec())), ..Self::default() }
    }

    fn got(&self) -> Vec<Vec<u64>> {
        self.got.lock().expect("no panic under the lock").clone()
    }
}

impl Target for Noting {
    fn invoke(&self, event: Bytes) -> BoxFuture<'_, Answer> {
        let event: Value = serde_json::from_slice(&event).expect("an event");
        let records = event["Records"].as_array().expect("records");
        let sequence = |record: &Value| record["dynamodb"]["SequenceNumber"].as_str().unwrap_or("0").to_owned();
        let numbers: Vec<_> = records.iter().map(|record| StreamSimulator::ordinal(&sequence(record))).collect();
        let mut fails = self.fails.lock().expect("no panic under the lock");
        let failed = numbers.iter().position(|number| fails.contains(number));
        let failures: Vec<_> = failed.iter().map(|at| json!({"itemIdentifier": sequence(&records[*at])})).collect();
        if let Some(at) = failed {
            let spent = fails.iter().position(|number| *number == numbers[at]).expect("it is there");
            fails.remove(spent);
        }
        self.got.lock().expect("no panic under the lock").push(numbers);
        ready(Answer::returned(json!({"batchItemFailures": failures}).to_string())).boxed()
    }
}

/// A mapping that gave up on records 2 to 4 of five, of as many items.
fn given_up() -> Rehearsal {
    let mut play = Rehearsal::new(with(|it| {
        it.failure_destination = true;
        it.maximum_retry_attempts = Some(0);
        it.batch_size = 3;
    }));
    play.stream().put("PET#first");
    play.run_for(seconds(1));
    play.set_function(raising(&[3]));
    put(&play, 3);
    play.run_for(seconds(1));
    play.stream().put("PET#last");
    play.run_for(seconds(1));
    assert_eq!(play.trace(), [vec![1], vec![2, 3, 4], vec![5]]);
    play
}

fn only(text: &str) -> Lost {
    let mut lost = Lost::read_all(text).expect("a document");
    assert_eq!(lost.len(), 1);
    lost.remove(0)
}

#[tokio::test]
async fn esm_47_a_queue_s_document_is_read_from_the_stream_again() {
    let play = given_up();
    let lost = only(&play.failures()[0].document());
    assert_eq!((lost.function.as_str(), lost.count, lost.is_in_the_stream()), (FUNCTION, 3, true));
    assert_eq!(lost.reason, "RetryAttemptsExhausted");
    let function = Noting::default();
    let report = Redrive::new(function.clone()).hand_over(&lost.batch(play.stream()).await.unwrap()).await;
    assert_eq!((report.handled, report.invocations, report.unfinished), (3, 1, None));
    assert_eq!(function.got(), [[2, 3, 4]]);
}

#[tokio::test]
async fn esm_48_an_object_has_the_records_in_itself() {
    let play = given_up();
    let object = play.failures()[0].object();
    play.stream().delete();
    let nested = {
        // As LocalStack writes it: an object in place of a text.
        let mut document: Value = serde_json::from_str(&object).expect("JSON");
        document["payload"] = serde_json::from_str(document["payload"].as_str().expect("a text")).expect("JSON");
        document.to_string()
    };
    for text in [object, nested] {
        let lost = only(&text);
        assert!(!lost.is_in_the_stream());
        let function = Noting::default();
        Redrive::new(function.clone()).hand_over(&lost.batch(play.stream()).await.unwrap()).await;
        assert_eq!(function.got(), [[2, 3, 4]]);
    }
}

#[tokio::test]
async fn documents_come_in_many_wrappings() {
    let play = given_up();
    let body = play.failures()[0].document();
    let notification = json!({"Type": "Notification", "TopicArn": "arn", "Message": body}).to_string();
    let letter = DeadLetter::new(r#"{"eventID":"e1"}"#, "why", "replicate", SystemTime::UNIX_EPOCH).to_json();
    let message = |body: &str| json!({"MessageId": "1", "Body": body});
    let received = json!({"Messages": [message(&notification), message(&letter)]}).to_string();
    let lost = Lost::read_all(&format!("{received}\n{letter}\n\n{body}")).unwrap();
    let functions: Vec<_> = lost.iter().map(|lost| lost.function.as_str()).collect();
    assert_eq!(functions, [FUNCTION, "replicate", "replicate", FUNCTION]);
    for text in ["{", "7", "{}", r#"{"Records": []}"#, r#"{"schema": "another/1"}"#, r#"{"Message": 7}"#] {
        assert!(matches!(Lost::read_all(text), Err(RedriveError::NotRead { .. })), "{text}");
    }
}

#[tokio::test]
async fn what_was_trimmed_is_said_to_be() {
    let play = given_up();
    let document = play.failures()[0].document();
    let trimmed = async || only(&document).batch(play.stream()).await.unwrap_err();
    play.stream().advance(seconds(25 * 3600));
    let error = trimmed().await;
    assert!(matches!(error, RedriveError::Trimmed { .. }) && error.to_string().contains("24 hours"), "{error}");
    play.stream().delete();
    assert!(
        matches!(trimmed().await, RedriveError::Trimmed { .. }),
        "a shard that is not known was trimmed as a whole"
    );
}

#[tokio::test]
async fn ranges_are_read_over_empty_pages_and_only_as_a_whole() {
    let play = given_up();
    let lost = only(&play.failures()[0].document());
    let mut pages = 0;
    play.stream().set_faults(move |call| {
        pages += i32::from(matches!(call, Call::Records(_)));
        if pages < 20 { Fault::EmptyPage } else { Fault::None }
    });
    assert_eq!(lost.batch(play.stream()).await.unwrap().len(), 3);
    play.stream().set_faults(|_| Fault::EmptyPage);
    assert!(lost.batch(play.stream()).await.is_err(), "it comes to an end");
    play.stream().set_faults(|_| Fault::Fail(FaultKind::Throttled));
    assert!(matches!(lost.batch(play.stream()).await, Err(RedriveError::Stream { .. })));
    play.stream().set_faults(|_| Fault::None);
    let mut further: Value = serde_json::from_str(&play.failures()[0].document()).expect("JSON");
    further["DDBStreamBatchInfo"]["endSequenceNumber"] = json!(play.stream().sequence(99));
    let incomplete = only(&further.to_string()).batch(play.stream()).await;
    assert!(matches!(incomplete, Err(RedriveError::Incomplete { found: 4, .. })), "{incomplete:?}");
}

#[tokio::test]
async fn it_goes_on_while_that_brings_it_on_and_stops_in_order() {
    let play = given_up();
    let batch = only(&play.failures()[0].document()).batch(play.stream()).await.unwrap();
    let function = Noting::failing(&[3]);
    let report = Redrive::new(function.clone()).hand_over(&batch).await;
    assert_eq!((report.handled, report.invocations), (3, 2), "once more from the one that failed");
    assert_eq!(function.got(), [vec![2, 3, 4], vec![3, 4]]);

    let function = Noting::failing(&[3, 3]);
    let report = Redrive::new(function.clone()).batch_size(2).hand_over(&batch).await;
    let unfinished = report.unfinished.expect("it fails twice");
    assert_eq!((report.handled, StreamSimulator::ordinal(unfinished.sequence.as_str())), (1, 3));
    assert_eq!(function.got(), [vec![2, 3], vec![3, 4]], "nothing is handed over behind it");
}

#[tokio::test]
async fn the_filter_of_the_mapping_applies() {
    let play = given_up();
    let batch = only(&play.failures()[0].document()).batch(play.stream()).await.unwrap();
    let pattern = r#"{"dynamodb": {"Keys": {"PK": {"S": ["PET#0", "PET#2"]}}}}"#;
    let function = Noting::default();
    let redrive = Redrive::new(function.clone()).filter(FilterCriteria::parse([pattern]).expect("a pattern"));
    assert_eq!(redrive.wanted(&batch).count(), 2);
    let report = redrive.hand_over(&batch).await;
    assert_eq!((report.handled, report.declined), (2, 1));
    assert_eq!(function.got(), [[2, 4]]);
}

#[tokio::test]
async fn esm_55_a_window_s_last_invocation_has_nothing_to_hand_over() {
    let mut play = Rehearsal::new(with(|it| {
        it.failure_destination = true;
        it.maximum_retry_attempts = Some(0);
        it.tumbling_window = Some(seconds(10));
    }));
    play.set_function(|invocation| match invocation.json()["isFinalInvokeForWindow"] == true {
        true => Answer::failed("told to"),
        false => Answer::returned(r#"{"state": {}}"#),
    });
    play.stream().put("PET#1");
    play.run_for(seconds(30));
    play.stream().put("PET#2");
    play.run_for(seconds(5));
    let lost = only(&play.failures()[0].object());
    assert!(matches!(lost.batch(play.stream()).await, Err(RedriveError::NoRecords)));
}

#[tokio::test]
async fn letters_are_handed_over_one_by_one_whatever_is_in_them() {
    let stream = StreamSimulator::new();
    let letter = |record: &str| {
        let letter = DeadLetter::new(record.to_owned(), "why", "f", SystemTime::UNIX_EPOCH);
        only(&letter.with_sequence_number(stream.sequence(7)).to_json())
    };
    let whole =
        json!({"eventName": "REMOVE", "dynamodb": {"SequenceNumber": stream.sequence(7), "Keys": {"id": {"S": "a"}}}});
    for record in [whole.to_string(), r#"{"eventName": "TRUNCATE"}"#.to_owned()] {
        let lost = letter(&record);
        assert!(!lost.is_in_the_stream());
        let function = Noting::default();
        let report = Redrive::new(function.clone()).hand_over(&lost.batch(&stream).await.unwrap()).await;
        assert_eq!((report.handled, function.got().len()), (1, 1), "{record}");
    }
    assert!(matches!(letter("{\"eventName\":").batch(&stream).await, Err(RedriveError::NotJson)));
}
