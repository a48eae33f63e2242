//! What Lambda refuses in the settings of a mapping themselves.

use super::{Findings, Rule, Subject};
use crate::template::{Place, Read, Setting};

/// The settings of a mapping: those that all have, and by which name SAM and CloudFormation know the others.
const SETTINGS: [&str; 20] = [
    "BatchSize",
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "Enabled",
    "EventSourceArn",
    "FilterCriteria",
    "FunctionName",
    "FunctionResponseTypes",
    "KmsKeyArn",
    "MaximumBatchingWindowInSeconds",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "MetricsConfig",
    "ParallelizationFactor",
    "StartingPosition",
    "StartingPositionTimestamp",
    "Stream",
    "Tags",
    "TumblingWindowInSeconds",
    "LoggingConfig",
];

/// Settings of other event sources.
const UNSUPPORTED: [&str; 9] = [
    "AmazonManagedKafkaEventSourceConfig",
    "DocumentDBEventSourceConfig",
    "ProvisionedPollerConfig",
    "Queues",
    "ScalingConfig",
    "SelfManagedEventSource",
    "SelfManagedKafkaEventSourceConfig",
    "SourceAccessConfigurations",
    "Topics",
];

pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    numbers(subject, findings);
    booleans(subject, findings);
    starting_position(subject, findings);
    response_types(subject, findings);
    names(subject, findings);
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
    if let Setting::Unreadable(place) = setting {
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

fn names(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for entry in subject.mapping.properties.entries() {
        let name = &*entry.key;
        if UNSUPPORTED.contains(&name) {
            let message = format!("Unsupported parameter for given event source mapping type: {name}");
            findings.about(subject, Rule::Unsupported, entry.place, message, format!("remove {name}"));
        } else if let Some(meant) = misspelt(name) {
            let message = format!("Encountered unsupported property {name}");
            findings.about(subject, Rule::Misspelt, entry.place, message, format!("say {meant}"));
        }
    }
}

/// The setting that was meant, if a name is none and close to one. A name that is close to none may be newer than we are.
fn misspelt(name: &str) -> Option<&'static str> {
    if SETTINGS.contains(&name) || name.starts_with("Fn::") {
        return None;
    }
    let near = |known: &&str| {
        known.eq_ignore_ascii_case(name) || distance(known, name) <= 2 || known.strip_suffix("InSeconds") == Some(name)
    };
    SETTINGS.into_iter().find(near)
}

/// How many characters have to be added, removed or replaced to come from one text to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (at, one) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(one != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        for (name, meant) in [
            ("BatchSize", None),
            ("BatchSzie", Some("BatchSize")),
            ("batchSize", Some("BatchSize")),
            ("MaximumRetryAttempt", Some("MaximumRetryAttempts")),
            ("MaximumRecordAge", Some("MaximumRecordAgeInSeconds")),
            ("SomethingNew", None),
        ] {
            assert_eq!(misspelt(name), meant, "{name}");
        }
    }
}
