//! What Lambda accepts and production does not forgive.

use super::{Findings, Rule, Subject};
use crate::template::{Mapping, Setting};

/// A stream keeps its records for a day.
const RETENTION: i64 = 86_400;

pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    retries(subject, findings);
    batches(subject, findings);
    start(subject, findings);
    window(subject, findings);
    if let Setting::Known(age @ 86_401..=604_800, place) = subject.mapping.record_age {
        let message = format!(
            "records are given up after {age} s, but the stream forgets them after {RETENTION} s: they are lost before \
             they are reported"
        );
        findings.about(subject, Rule::RecordAge, place, message, "stay well below 86400, so that records are reported");
    }
}

fn retries(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let mapping = &subject.mapping;
    let endless = (mapping.retries.or(-1), mapping.record_age.or(-1)) == (Some(-1), Some(-1));
    let bounded = mapping.retries.known().is_some_and(|retries| *retries >= 0)
        || mapping.record_age.known().is_some_and(|age| *age >= 60);
    if endless {
        let place = mapping.retries.place().or(mapping.record_age.place()).unwrap_or(subject.place());
        let message = match &mapping.on_failure {
            Some(_) => {
                "retries are endless, so one record blocks its shard for a day, and nothing is ever reported to the destination"
            }
            None => "retries are endless, so one record blocks its shard for a day and is then lost",
        };
        let remedy = "set MaximumRetryAttempts and MaximumRecordAgeInSeconds, and an OnFailure destination";
        findings.about(subject, Rule::EndlessRetries, place, message.to_owned(), remedy);
    } else if bounded && !has_destination(mapping) {
        let message = "records that are given up vanish without trace: no metric counts them".to_owned();
        let remedy = "set DestinationConfig.OnFailure.Destination to a standard queue";
        findings.about(subject, Rule::NoFailureDestination, subject.place(), message, remedy);
    }
}

/// Whether there is a destination, or may be one.
fn has_destination(mapping: &Mapping) -> bool {
    let config = mapping.properties.get("DestinationConfig");
    let unknown =
        config.is_some_and(|config| config.is_unknown() || config.get("OnFailure").is_some_and(|it| it.is_unknown()));
    unknown || mapping.on_failure.is_some()
}

fn batches(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let mapping = &subject.mapping;
    if mapping.batch_size.or(100) == Some(1) {
        return;
    }
    if mapping.reports_failures() == Some(false) && mapping.response_types.is_empty() {
        let message = "the answer of the function is ignored: one failed record repeats its whole batch".to_owned();
        let remedy = "set FunctionResponseTypes: [ReportBatchItemFailures] and answer with batchItemFailures";
        findings.about(subject, Rule::NoBatchResponse, subject.place(), message, remedy);
    }
    if mapping.bisect.or(false) == Some(false) {
        let place = mapping.bisect.place().unwrap_or(subject.place());
        let message =
            "a batch that times out or crashes the function is repeated as it is until it is given up".to_owned();
        findings.about(subject, Rule::NoBisect, place, message, "set BisectBatchOnFunctionError: true");
    }
}

fn start(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    if let Setting::Known(position, place) = &subject.mapping.starting_position
        && position == "LATEST"
    {
        let message = "LATEST misses what is written until the mapping polls, which takes minutes".to_owned();
        findings.about(subject, Rule::Latest, *place, message, "say TRIM_HORIZON");
    }
}

fn window(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let timeout = subject.function.as_ref().and_then(|function| function.timeout.or(3));
    if let (Setting::Known(window, place), Some(timeout)) = (&subject.mapping.window, timeout)
        && *window > timeout
    {
        let message = format!(
            "a batch gathers {window} s of records, and {} has {timeout} s to handle them before it is all repeated",
            subject.function_name()
        );
        let remedy =
            format!("set MaximumBatchingWindowInSeconds to {timeout} or less, or raise the function's Timeout");
        findings.about(subject, Rule::WindowOverTimeout, *place, message, remedy);
    }
}
