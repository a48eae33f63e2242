//! Settings whose names AWS does not know, or not for DynamoDB streams.

use super::{Findings, Rule, Subject, sam};
use crate::template::{Entry, Node, Place};

/// The settings of a mapping, as CloudFormation names them.
const SETTINGS: [&str; 19] = [
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
    "Tags",
    "TumblingWindowInSeconds",
    "LoggingConfig",
];

/// Settings of other event sources.
const UNSUPPORTED: [&str; 10] = [
    "AmazonManagedKafkaEventSourceConfig",
    "DocumentDBEventSourceConfig",
    "KafkaBootstrapServers",
    "ProvisionedPollerConfig",
    "Queues",
    "ScalingConfig",
    "SelfManagedEventSource",
    "SelfManagedKafkaEventSourceConfig",
    "SourceAccessConfigurations",
    "Topics",
];

pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let mapping = &subject.mapping;
    if !mapping.is_event {
        mapping.properties.entries().iter().for_each(|entry| of_resource(subject, entry, findings));
    } else if sam::sees(subject, findings) {
        mapping.written.entries().iter().for_each(|entry| of_event(subject, entry, findings));
    }
    if let Some(criteria) = mapping.properties.get("FilterCriteria") {
        of_criteria(subject, criteria, findings);
    }
}

fn of_resource(subject: &Subject<'_>, Entry { key, place, .. }: &Entry, findings: &mut Findings<'_>) {
    if UNSUPPORTED.contains(&&**key) {
        unsupported(subject, key, *place, findings);
    } else if let Some(meant) = misspelt(key, &SETTINGS) {
        let message = format!("Encountered unsupported property {key}");
        findings.about(subject, Rule::Misspelt, *place, message, format!("say {meant}"));
    }
}

fn of_event(subject: &Subject<'_>, Entry { key, place, .. }: &Entry, findings: &mut Findings<'_>) {
    let known = sam::names();
    if !known.contains(&&**key) {
        let message = sam::refusal(subject, &format!("property {key} not defined for resource of type DynamoDB"));
        match misspelt(key, &known) {
            Some(meant) => findings.about(subject, Rule::Misspelt, *place, message, format!("say {meant}")),
            None => findings.about(subject, Rule::Unsupported, *place, message, format!("remove {key}")),
        }
    } else if UNSUPPORTED.contains(&&**key) {
        unsupported(subject, key, *place, findings);
    }
}

fn unsupported(subject: &Subject<'_>, name: &str, place: Place, findings: &mut Findings<'_>) {
    let message = format!("Unsupported parameter for given event source mapping type: {name}");
    findings.about(subject, Rule::Unsupported, place, message, format!("remove {name}"));
}

/// There is one name that filters have, and who misspells it has none.
fn of_criteria(subject: &Subject<'_>, criteria: &Node, findings: &mut Findings<'_>) {
    let is_other = |entry: &&Entry| &*entry.key != "Filters" && !entry.key.starts_with("Fn::");
    for Entry { key, place, .. } in criteria.entries().iter().filter(is_other) {
        let message = match subject.mapping.is_event {
            true => "FilterCriteria field has a wrong format".to_owned(),
            false => format!("#/FilterCriteria: extraneous key [{key}] is not permitted"),
        };
        findings.about(subject, Rule::Misspelt, *place, message, "FilterCriteria takes Filters and nothing else");
    }
}

/// The setting that was meant, if a name is none and close to one. A name that is close to none may be newer than we are.
fn misspelt(name: &str, known: &[&'static str]) -> Option<&'static str> {
    if known.contains(&name) || name.starts_with("Fn::") {
        return None;
    }
    // SAM's name and CloudFormation's for the same.
    let twin = [("Stream", "EventSourceArn"), ("EventSourceArn", "Stream")].into_iter().find(|(said, _)| *said == name);
    let near = |known: &&str| {
        known.eq_ignore_ascii_case(name) || distance(known, name) <= 2 || known.strip_suffix("InSeconds") == Some(name)
    };
    let supported = known.iter().copied().filter(|known| !UNSUPPORTED.contains(known));
    twin.map(|(_, meant)| meant).or_else(|| supported.into_iter().find(near))
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
            ("Stream", Some("EventSourceArn")),
            ("SomethingNew", None),
        ] {
            assert_eq!(misspelt(name, &SETTINGS), meant, "{name}");
        }
        for (name, meant) in [("Stream", None), ("EventSourceArn", Some("Stream")), ("Queue", None), ("Tags", None)] {
            assert_eq!(misspelt(name, &sam::names()), meant, "{name}");
        }
    }
}
