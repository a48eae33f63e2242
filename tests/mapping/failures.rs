//! Responses, retries, bisection, expiry, and what a failure destination gets.

use anabranch::{
    source::mapping::{Answer, Condition, Event, Position, ProcessingResult, TrimPolicy},
    testing::streams::Rehearsal,
};
use serde_json::json;

use crate::play::{FUNCTION, deliveries, documents, naming, put, raising, reporting, seconds, settings, times, with};

#[test]
fn esm_02_the_last_processing_result_tells_how_it_went() {
    let mut play = Rehearsal::new(with(|it| it.maximum_retry_attempts = Some(0)));
    play.run_for(seconds(1));
    assert_eq!(play.machine().last_processing_result().as_str(), "No records processed");
    put(&play, 1);
    play.run_for(seconds(1));
    assert_eq!(play.machine().last_processing_result().as_str(), "OK");
    play.set_function(|_| Answer::failed("told to"));
    put(&play, 1);
    play.run_for(seconds(1));
    assert_eq!(play.machine().last_processing_result(), ProcessingResult::Problem);
    assert_eq!(ProcessingResult::Problem.as_str(), "PROBLEM: Function call failed");
}

#[test]
fn esm_30_a_failing_batch_blocks_its_shard_for_a_day() {
    let mut play = Rehearsal::new(with(|it| {
        it.batch_size = 1;
        it.trimmed = TrimPolicy::Continue;
    }));
    play.set_function(raising(&[1]));
    put(&play, 2);
    play.run_for(seconds(24 * 3600 - 120));
    assert!(play.trace().len() > 1000 && play.trace().iter().all(|batch| *batch == [1]), "nothing passes it");
    play.run_for(seconds(3600));
    assert_eq!(play.trace().last().unwrap(), &[1], "the second record has expired as well");
    assert_eq!(play.machine().metrics().discarded, 2);
    put(&play, 1);
    play.run_for(seconds(1));
    assert_eq!(play.trace().last().unwrap(), &[3]);
}

#[test]
fn esm_31_throttles_do_not_count_as_attempts() {
    let mut play = Rehearsal::new(with(|it| {
        it.maximum_retry_attempts = Some(0);
        it.bisect_batch_on_function_error = true;
    }));
    let mut throttles = 20;
    play.set_function(move |_| {
        throttles -= 1;
        if throttles >= 0 { Answer::not_run("TooManyRequestsException") } else { Answer::returned("") }
    });
    put(&play, 4);
    play.run_for(seconds(3600));
    assert_eq!(play.trace().len(), 21);
    assert!(play.trace().iter().all(|batch| *batch == [1, 2, 3, 4]), "the same batch, never split");
    assert_eq!((play.machine().metrics().discarded, play.machine().metrics().invoked), (0, 4));
}

#[test]
fn esm_31_throttled_records_expire() {
    let mut play = Rehearsal::new(with(|it| {
        it.maximum_record_age = Some(seconds(60));
        it.failure_destination = true;
    }));
    play.set_function(|_| Answer::not_run("TooManyRequestsException"));
    put(&play, 1);
    play.run_for(seconds(300));
    assert_eq!(play.failures()[0].condition, Condition::RecordAgeExceeded);
}

#[test]
fn esm_32_and_33_answers_decide_about_the_whole_batch() {
    for (body, whole) in [("[]", true), (r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#, false)] {
        let mut play = Rehearsal::new(with(|it| {
            it.report_item_failures = true;
            it.maximum_retry_attempts = Some(1);
        }));
        play.set_function(move |_| Answer::returned(body));
        put(&play, 3);
        play.run_for(seconds(5));
        let expected = if whole { vec![vec![1, 2, 3]] } else { vec![vec![1, 2, 3]; 2] };
        assert_eq!(play.trace(), expected, "{body}");
    }
}

#[test]
fn esm_34_without_reporting_the_answer_is_ignored() {
    let mut play = Rehearsal::new(settings());
    play.set_function(reporting(&[2]));
    put(&play, 3);
    play.run_for(seconds(5));
    assert_eq!(play.trace(), [[1, 2, 3]]);
}

#[test]
fn esm_35_the_lowest_identifier_is_the_checkpoint() {
    let mut play = Rehearsal::new(with(|it| it.report_item_failures = true));
    let mut first = true;
    play.set_function(move |invocation| match std::mem::replace(&mut first, false) {
        true => naming(invocation, &[4, 2]),
        false => Answer::returned(""),
    });
    put(&play, 5);
    play.run_for(seconds(5));
    assert_eq!(play.trace(), [vec![1, 2, 3, 4, 5], vec![2, 3, 4, 5]]);
}

#[test]
fn esm_36_attempts_are_retries_and_one() {
    for retries in [0, 1, 3] {
        let mut play = Rehearsal::new(with(|it| {
            it.maximum_retry_attempts = Some(retries);
            it.failure_destination = true;
        }));
        play.set_function(raising(&[1]));
        put(&play, 1);
        play.run_for(seconds(60));
        assert_eq!(play.trace().len() as u32, retries + 1);
        assert_eq!(documents(&play)[0]["requestContext"]["approximateInvokeCount"], retries + 1);
    }
}

#[test]
fn esm_37_partial_progress_resets_the_retry_budget() {
    let mut play = Rehearsal::new(with(|it| {
        it.batch_size = 3;
        it.maximum_retry_attempts = Some(3);
        it.report_item_failures = true;
        it.failure_destination = true;
    }));
    play.set_function(reporting(&[6]));
    put(&play, 6);
    play.run_for(seconds(60));
    let deliveries = deliveries(&play);
    assert_eq!((1..=6).map(|record| deliveries[&record]).collect::<Vec<_>>(), [1, 1, 1, 1, 1, 5]);
    let documents = documents(&play);
    assert_eq!(documents.len(), 1);
    assert_eq!(documents[0]["requestContext"]["approximateInvokeCount"], 4);
    assert_eq!(documents[0]["DDBStreamBatchInfo"]["batchSize"], 1);
}

/// Four records of which the second is bad; the invocations, and the counts in the failure documents.
fn bad_second(bisect: bool, report: bool, retries: u32) -> (Vec<Vec<u64>>, Vec<u64>) {
    let mut play = Rehearsal::new(with(|it| {
        it.bisect_batch_on_function_error = bisect;
        it.report_item_failures = report;
        it.maximum_retry_attempts = Some(retries);
        it.failure_destination = true;
    }));
    if report {
        play.set_function(reporting(&[2]))
    } else {
        play.set_function(raising(&[2]))
    }
    put(&play, 4);
    play.run_for(seconds(120));
    let counts = documents(&play);
    let counts = counts.iter().map(|it| it["requestContext"]["approximateInvokeCount"].as_u64().expect("a count"));
    (play.trace(), counts.collect())
}

#[test]
fn esm_38_an_error_without_bisect_repeats_the_batch() {
    let (trace, counts) = bad_second(false, false, 2);
    assert_eq!(trace, [[1, 2, 3, 4]; 3]);
    assert_eq!(counts, [3]);
}

#[test]
fn esm_38_an_error_with_bisect_splits_depth_first() {
    let (trace, counts) = bad_second(true, false, 1);
    assert_eq!(trace, [vec![1, 2, 3, 4], vec![1, 2], vec![1], vec![2], vec![2], vec![3, 4]]);
    assert_eq!(counts, [2]);
}

#[test]
fn esm_38_a_reported_record_without_bisect_is_where_it_goes_on() {
    let (trace, counts) = bad_second(false, true, 1);
    assert_eq!(trace, [vec![1, 2, 3, 4], vec![2, 3, 4], vec![2, 3, 4]]);
    assert_eq!(counts, [2]);
}

#[test]
fn esm_38_a_reported_record_with_bisect_is_cut_first_and_then_split() {
    let (trace, counts) = bad_second(true, true, 1);
    assert_eq!(trace, [vec![1, 2, 3, 4], vec![2, 3, 4], vec![2], vec![2], vec![3, 4]]);
    assert_eq!(counts, [2]);
}

#[test]
fn esm_39_and_47_the_document_of_an_exhausted_batch() {
    let mut play = Rehearsal::new(with(|it| {
        it.maximum_retry_attempts = Some(1);
        it.failure_destination = true;
    }));
    play.set_function(raising(&[1]));
    put(&play, 2);
    play.run_for(seconds(5));
    let shard = play.invocations()[0].shard.to_string();
    let sequences = &play.invocations()[0].sequences;
    assert_eq!(
        documents(&play),
        [json!({
            "requestContext": {
                "requestId": "request-1",
                "functionArn": FUNCTION,
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": 2,
            },
            "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
            "version": "1.0",
            "timestamp": "2026-11-21T02:40:00.500Z",
            "DDBStreamBatchInfo": {
                "shardId": shard,
                "startSequenceNumber": sequences[0],
                "endSequenceNumber": sequences[1],
                "approximateArrivalOfFirstRecord": "2026-11-21T02:40:00Z",
                "approximateArrivalOfLastRecord": "2026-11-21T02:40:00Z",
                "batchSize": 2,
                "streamArn": play.stream().arn(),
            },
        })]
    );
}

#[test]
fn esm_39_a_bad_answer_is_no_function_error_and_an_alias_has_a_number() {
    let mut play = Rehearsal::new(with(|it| {
        it.function_arn = format!("{FUNCTION}:live");
        it.maximum_retry_attempts = Some(0);
        it.report_item_failures = true;
        it.failure_destination = true;
    }));
    play.set_function(|_| Answer { version: Some("7".into()), ..Answer::returned(r#"{"batchItemFailures":7}"#) });
    put(&play, 1);
    play.run_for(seconds(5));
    let document = &documents(&play)[0];
    let response = json!({ "statusCode": 200, "executedVersion": "7", "functionError": null });
    assert_eq!(document["responseContext"], response);
    assert_eq!(document["requestContext"]["functionArn"], format!("{FUNCTION}:live"), "ESM-47: with the qualifier");
}

#[test]
fn esm_40_and_41_records_that_expired_while_disabled_are_never_delivered() {
    let mut play = Rehearsal::new(with(|it| {
        it.maximum_record_age = Some(seconds(60));
        it.failure_destination = true;
    }));
    play.run_for(seconds(1));
    play.disable();
    put(&play, 1);
    play.run_for(seconds(70));
    play.enable();
    play.run_for(seconds(5));
    assert!(play.trace().is_empty());
    let document = &documents(&play)[0];
    assert_eq!(document["requestContext"]["condition"], "RecordAgeExceeded");
    assert_eq!(document["requestContext"]["approximateInvokeCount"], 1);
    assert!(document.as_object().unwrap().get("responseContext").is_none(), "no such key at all");
}

#[test]
fn esm_42_a_minute_of_retries_is_seven_calls_and_the_eighth_finds_the_end() {
    let mut play = Rehearsal::new(with(|it| {
        it.maximum_record_age = Some(seconds(60));
        it.failure_destination = true;
    }));
    play.set_function(raising(&[1]));
    put(&play, 1);
    play.run_for(seconds(300));
    assert_eq!(times(&play), [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    assert_eq!(documents(&play)[0]["requestContext"]["approximateInvokeCount"], 8);
    assert_eq!(documents(&play)[0]["requestContext"]["condition"], "RecordAgeExceeded");
}

#[test]
fn esm_43_an_expired_prefix_is_cut_off_and_the_rest_delivered() {
    let mut play = Rehearsal::new(with(|it| {
        it.maximum_record_age = Some(seconds(60));
        it.failure_destination = true;
    }));
    play.run_for(seconds(1));
    play.disable();
    put(&play, 1);
    play.run_for(seconds(65));
    put(&play, 5);
    play.enable();
    play.run_for(seconds(5));
    assert_eq!(play.trace(), [[2, 3, 4, 5, 6]]);
    assert_eq!(documents(&play)[0]["DDBStreamBatchInfo"]["batchSize"], 1);
}

#[test]
fn esm_44_after_a_discard_the_shard_goes_on_and_the_position_with_it() {
    let mut play = Rehearsal::new(with(|it| {
        it.batch_size = 1;
        it.maximum_retry_attempts = Some(0);
    }));
    play.set_function(raising(&[2]));
    put(&play, 3);
    play.run_for(seconds(5));
    assert_eq!(play.trace(), [[1], [2], [3]]);
    let last = play.invocations()[2].sequences[0].as_str().into();
    assert_eq!(play.machine().positions().next().unwrap().1, Position::After(last));
    assert_eq!(play.checkpoints().len(), 1);
}

#[test]
fn esm_45_without_a_destination_nothing_counts_as_dropped() {
    let mut play = Rehearsal::new(with(|it| it.maximum_retry_attempts = Some(0)));
    play.set_function(raising(&[1]));
    put(&play, 3);
    play.run_for(seconds(5));
    let metrics = play.machine().metrics();
    assert_eq!((metrics.polled, metrics.invoked, metrics.failed_invoke, metrics.dropped), (3, 3, 3, 0));
    assert!(play.failures().is_empty());
}

#[test]
fn esm_46_a_destination_that_refuses_does_not_block_the_shard() {
    let mut play = Rehearsal::new(with(|it| {
        it.batch_size = 3;
        it.maximum_retry_attempts = Some(0);
        it.failure_destination = true;
    }));
    play.set_function(raising(&[1, 7]));
    play.refuse_failures(true);
    put(&play, 6);
    play.run_for(seconds(5));
    assert_eq!(play.trace(), [[1, 2, 3], [4, 5, 6]]);
    let metrics = play.machine().metrics();
    assert_eq!((metrics.destination_failures, metrics.dropped), (1, 3));
    play.refuse_failures(false);
    put(&play, 1);
    play.run_for(seconds(5));
    assert_eq!(documents(&play).len(), 1, "only the later one");
    assert_eq!(play.machine().metrics().delivered_on_failure, 1);
}

#[test]
fn esm_48_an_object_has_the_event_as_a_string() {
    let mut play = Rehearsal::new(with(|it| {
        it.uuid = "6b3f".into();
        it.maximum_retry_attempts = Some(0);
        it.failure_destination = true;
    }));
    play.set_function(raising(&[1]));
    put(&play, 1);
    play.run_for(seconds(5));
    let failure = &play.failures()[0];
    let object: serde_json::Value = serde_json::from_str(&failure.object()).unwrap();
    assert_eq!(object["payload"].as_str().unwrap().as_bytes(), play.invocations()[0].event);
    assert_eq!(object["DDBStreamBatchInfo"], documents(&play)[0]["DDBStreamBatchInfo"]);
    let shard = &play.invocations()[0].shard;
    let key = failure.object_key();
    let prefix = format!("aws/lambda/6b3f/{shard}/2026/11/21/2026-11-21T02.40.00-");
    let random = key.strip_prefix(&prefix).unwrap_or_else(|| panic!("{key}"));
    assert_eq!(random.len(), 36);
}

#[test]
fn esm_58b_the_document_names_the_last_request() {
    let mut play = Rehearsal::new(with(|it| {
        it.maximum_retry_attempts = Some(1);
        it.failure_destination = true;
    }));
    let mut calls = 0;
    play.set_function(move |_| {
        calls += 1;
        Answer::failed("told to").with_request_id(format!("request-{calls}"))
    });
    put(&play, 1);
    play.run_for(seconds(5));
    assert_eq!(play.failures()[0].request_id, "request-2");
}

#[test]
fn esm_59_the_age_is_that_of_the_last_record_when_its_batch_is_done() {
    let mut play = Rehearsal::new(settings());
    play.set_latency(seconds(3));
    put(&play, 2);
    play.run_for(seconds(5));
    let ages = play.events().iter().filter_map(|event| match event {
        Event::Handled { age, .. } => Some(*age),
        _ => None,
    });
    assert_eq!(ages.collect::<Vec<_>>(), [seconds(3)]);
}
