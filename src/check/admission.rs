//! What Lambda refuses in the settings of a mapping themselves.

use super::{Findings, Rule, Subject};
use crate::template::{Place, Read, Setting};

pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    numbers(subject, findings);
    booleans(subject, findings);
    starting_position(subject, findings);
    response_types(subject, findings);
    combinations(subject, findings);
    if let Some(on_success) = subject.mapping.properties.at(&["DestinationConfig"]).and_then(|it| it.entry("OnSuccess"))
    {
        let message = "Unsupported DestinationConfig parameter for given event source mapping type.";
        findings.about(subject, Rule::OnSuccess, on_success.place, message.to_owned(), "remove OnSuccess");
    }
}

/// A number with its range, as the API names it and as templates do.
struct Number<'a> {
    setting: &'a Setting<i64>,
    api: &'static str,
    property: &'static str,
    range: (i64, i64),
}

fn numbers(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let mapping = &subject.mapping;
    let number = |setting, api, property, least, most| Number { setting, api, property, range: (least, most) };
    for number in [
        number(&mapping.batch_size, "batchSize", "BatchSize", 1, 10_000),
        number(&mapping.window, "maximumBatchingWindowInSeconds", "MaximumBatchingWindowInSeconds", 0, 300),
        number(&mapping.parallelization, "parallelizationFactor", "ParallelizationFactor", 1, 10),
        number(&mapping.retries, "maximumRetryAttempts", "MaximumRetryAttempts", -1, 10_000),
        number(&mapping.record_age, "maximumRecordAgeInSeconds", "MaximumRecordAgeInSeconds", -1, 604_800),
        number(&mapping.tumbling_window, "tumblingWindowInSeconds", "TumblingWindowInSeconds", 0, 900),
    ] {
        readable(subject, number.setting, number.property, "Integer", findings);
        if let Setting::Known(value, place) = number.setting {
            in_range(subject, &number, *value, *place, findings);
        }
    }
    if let Setting::Known(value @ 0..=59, place) = mapping.record_age {
        let message = format!("MaximumRecordAgeInSeconds is {value}; values from 0 to 59 are not allowed");
        findings.about(subject, Rule::OutOfRange, place, message, "say -1 (no limit), or 60 to 604800 seconds");
    }
}

fn in_range(subject: &Subject<'_>, number: &Number<'_>, value: i64, place: Place, findings: &mut Findings<'_>) {
    let (least, most) = number.range;
    let constraint = match value {
        value if value < least => format!("greater than or equal to {least}"),
        value if value > most => format!("less than or equal to {most}"),
        _ => return,
    };
    let message = format!(
        "1 validation error detected: Value '{value}' at '{}' failed to satisfy constraint: Member must have value {constraint}",
        number.api
    );
    findings.about(subject, Rule::OutOfRange, place, message, format!("{} takes {least} to {most}", number.property));
}

fn booleans(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let mapping = &subject.mapping;
    readable(subject, &mapping.bisect, "BisectBatchOnFunctionError", "Boolean", findings);
    readable(subject, &mapping.enabled, "Enabled", "Boolean", findings);
}

fn readable<T: Read>(
    subject: &Subject<'_>,
    setting: &Setting<T>,
    property: &str,
    kind: &str,
    findings: &mut Findings<'_>,
) {
    if let Setting::Unreadable(place) = setting
        && !findings.has(Rule::WrongType, *place)
    {
        let message = format!("#/{property}: expected type: {kind}");
        let remedy = format!("{property} takes one {}", kind.to_lowercase());
        findings.about(subject, Rule::WrongType, *place, message, remedy);
    }
}

fn starting_position(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let remedy = "say TRIM_HORIZON: nothing that is in the stream is missed";
    let (place, message) = match &subject.mapping.starting_position {
        Setting::Absent => {
            let message = "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: \
                           Member must not be null.";
            (subject.place(), message.to_owned())
        }
        Setting::Known(name, place) if name == "AT_TIMESTAMP" => {
            let arn = &subject.mapping.stream;
            (*place, format!("Unsupported starting position for arn type: {arn}"))
        }
        Setting::Known(name, place) if !matches!(&**name, "TRIM_HORIZON" | "LATEST") => {
            let message = format!(
                "1 validation error detected: Value '{name}' at 'startingPosition' failed to satisfy constraint: \
                 Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]"
            );
            (*place, message)
        }
        setting => return readable(subject, setting, "StartingPosition", "String", findings),
    };
    findings.about(subject, Rule::StartingPosition, place, message, remedy);
}

fn response_types(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for response in &subject.mapping.response_types {
        if let Setting::Known(name, place) = response
            && name != "ReportBatchItemFailures"
        {
            let message = format!(
                "1 validation error detected: Value '[{name}]' at 'functionResponseTypes' failed to satisfy constraint: \
                 Member must satisfy constraint: [Member must satisfy enum value set: [ReportBatchItemFailures]]"
            );
            findings.about(subject, Rule::ResponseType, *place, message, "say ReportBatchItemFailures");
        }
    }
}

/// ESM-55a.
fn combinations(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let mapping = &subject.mapping;
    let Setting::Known(1.., window) = mapping.tumbling_window else { return };
    if mapping.parallelization.known().is_some_and(|batches| *batches > 1) {
        let place = mapping.parallelization.place().unwrap_or(window);
        let message = "a tumbling window cannot be combined with a ParallelizationFactor above 1".to_owned();
        let remedy = "remove ParallelizationFactor, or the window";
        findings.about(subject, Rule::TumblingWithParallelization, place, message, remedy);
    }
    if let Setting::Known(_, filters) = mapping.filters {
        let message = "a tumbling window cannot be combined with FilterCriteria".to_owned();
        findings.about(
            subject,
            Rule::TumblingWithFilters,
            filters,
            message,
            "filter in the function, or remove the window",
        );
    }
}
