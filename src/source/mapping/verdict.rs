//! Reads what a function answers: what `ReportBatchItemFailures` and tumbling windows make of it.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    Sequence, Settings,
    policy::Verdict,
    ports::{Answer, Answered},
};

/// The answer, read.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::source) struct Reading {
    pub(in crate::source) verdict: Verdict,
    /// What went wrong, in a few words.
    pub(in crate::source) reason: Option<String>,
    /// Whether the function itself raised an error.
    pub(super) raised: bool,
    /// The new state of a tumbling window.
    pub(super) state: Option<String>,
}

impl Reading {
    fn success() -> Self {
        Self { verdict: Verdict::Success, reason: None, raised: false, state: None }
    }

    fn failure(reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::Failure, reason: Some(reason.into()), ..Self::success() }
    }
}

/// What the answer to a batch means. A final invocation of a window has no records and needs no state (ESM-52).
pub(in crate::source) fn read(settings: &Settings, batch: &[&Sequence], answer: &Answer) -> Reading {
    match &answer.result {
        Answered::Returned(body) => returned(settings, batch, body),
        Answered::Failed { reason } => Reading { raised: true, ..Reading::failure(reason.as_str()) },
        Answered::NotRun { reason } => Reading { verdict: Verdict::NotRun, ..Reading::failure(reason.as_str()) },
    }
}

fn returned(settings: &Settings, batch: &[&Sequence], body: &[u8]) -> Reading {
    let mut reading = match settings.report_item_failures {
        true => item_failures(batch, body),
        false => Reading::success(),
    };
    if settings.tumbling_window.is_some() && !batch.is_empty() {
        reading.state = state(body);
        if reading.state.is_none() {
            return Reading::failure("the answer has no `state`, which a tumbling window needs");
        }
    }
    reading
}

/// The `state` of an answer, as it stands (ESM-51).
fn state(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct WithState {
        state: Option<Box<RawValue>>,
    }
    let answer: WithState = serde_json::from_slice(body).ok()?;
    answer.state.map(|state| state.get().to_owned())
}

fn item_failures(batch: &[&Sequence], body: &[u8]) -> Reading {
    if body.trim_ascii().is_empty() {
        return Reading::success();
    }
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return Reading::failure("the answer is no JSON");
    };
    let failures = match &answer {
        Value::Null => return Reading::success(),
        Value::String(text) if text.is_empty() => return Reading::success(),
        Value::Array(list) if list.is_empty() => return Reading::success(),
        Value::Object(answer) => answer.get("batchItemFailures").unwrap_or(&Value::Null),
        _ => return Reading::failure("the answer is no object"),
    };
    match failures {
        Value::Null => Reading::success(),
        Value::Array(failures) => lowest(batch, failures),
        _ => Reading::failure("`batchItemFailures` is no list"),
    }
}

/// The lowest record that is named; one that is none fails the whole batch (ESM-33).
fn lowest(batch: &[&Sequence], failures: &[Value]) -> Reading {
    let mut lowest: Option<usize> = None;
    for failure in failures {
        let Some(identifier) = failure.get("itemIdentifier").and_then(Value::as_str) else {
            return Reading::failure("an entry of `batchItemFailures` has no text as its `itemIdentifier`");
        };
        let identifier = Sequence::from(identifier);
        // A batch is in the order of its shard.
        let Ok(index) = batch.binary_search(&&identifier) else {
            return Reading::failure("an `itemIdentifier` is no sequence number of the batch");
        };
        lowest = Some(lowest.map_or(index, |lowest| lowest.min(index)));
    }
    match lowest {
        None => Reading::success(),
        Some(index) => Reading {
            verdict: Verdict::Partial(index),
            reason: Some("the function reported failed records".to_owned()),
            ..Reading::success()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(report: bool, tumbling: bool, body: &str) -> Reading {
        let mut settings = Settings::new("f");
        settings.report_item_failures = report;
        settings.tumbling_window = tumbling.then(|| std::time::Duration::from_secs(10));
        let batch = ["99", "100", "101"].map(Sequence::from);
        read(&settings, &batch.each_ref(), &Answer::returned(body.to_owned()))
    }

    fn verdict(body: &str) -> Verdict {
        reading(true, false, body).verdict
    }

    #[test]
    fn esm_32_answers_that_are_full_success() {
        for body in ["", "[]", "null", "{}", r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#, r#""""#] {
            assert_eq!(verdict(body), Verdict::Success, "{body}");
        }
    }

    #[test]
    fn esm_33_answers_that_fail_the_whole_batch() {
        for entry in [
            r#"{"itemIdentifier":123}"#,
            r#"{"itemIdentifier":"123"}"#,
            r#"{"itemIdentifier":""}"#,
            r#"{"itemIdentifier":null}"#,
            r#"{"foo":"100"}"#,
            r#"{"foo":null}"#,
            r#"{"itemIdentifier":"100"},{"foo":"100"}"#,
        ] {
            assert_eq!(verdict(&format!(r#"{{"batchItemFailures":[{entry}]}}"#)), Verdict::Failure, "{entry}");
        }
        for body in ["{", "7", r#""done""#, r#"{"batchItemFailures":{}}"#, r#"["100"]"#] {
            assert_eq!(verdict(body), Verdict::Failure, "{body}");
        }
    }

    #[test]
    fn esm_34_without_reporting_the_body_is_ignored() {
        for body in ["", "not json", r#"{"batchItemFailures":[{"itemIdentifier":"100"}]}"#] {
            assert_eq!(reading(false, false, body).verdict, Verdict::Success, "{body}");
        }
    }

    #[test]
    fn esm_35_the_lowest_identifier_counts_as_an_integer() {
        let named = |ids: &[&str]| {
            let entries: Vec<_> = ids.iter().map(|id| format!(r#"{{"itemIdentifier":"{id}"}}"#)).collect();
            verdict(&format!(r#"{{"batchItemFailures":[{}]}}"#, entries.join(",")))
        };
        assert_eq!(named(&["101", "100"]), Verdict::Partial(1));
        assert_eq!(named(&["100", "99"]), Verdict::Partial(0), "99 is less than 100, though not as a string");
        assert_eq!(named(&["000101"]), Verdict::Partial(2));
    }

    #[test]
    fn esm_51_a_window_needs_a_state() {
        assert_eq!(reading(false, true, r#"{"state":{"n":1}}"#).state.as_deref(), Some(r#"{"n":1}"#));
        for body in ["", "null", "{}", r#"{"state":null}"#] {
            assert_eq!(reading(false, true, body).verdict, Verdict::Failure, "{body}");
        }
        let partial = reading(true, true, r#"{"state":{},"batchItemFailures":[{"itemIdentifier":"100"}]}"#);
        assert_eq!((partial.verdict, partial.state.as_deref()), (Verdict::Partial(1), Some("{}")));
    }
}
