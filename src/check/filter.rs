//! Filter patterns: those that Lambda refuses, and those that do not do what they seem to say.

use serde_json::Value;

use super::{Findings, Rule, Subject};
use crate::{
    pattern::{Pattern, Trap},
    template::{Filter, Setting},
};

/// As many filters as a mapping has, and as many as the quota can be raised to.
const FILTERS: usize = 5;
const MOST_FILTERS: usize = 10;

pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let (filters, place) = match &subject.mapping.filters {
        Setting::Known(filters, place) => (filters, *place),
        Setting::Unreadable(place) => {
            let message = "#/FilterCriteria/Filters: expected type: JSONArray".to_owned();
            return findings.about(
                subject,
                Rule::WrongType,
                *place,
                message,
                "Filters takes a list of {Pattern: text}",
            );
        }
        Setting::Absent | Setting::Unknown(_) => return,
    };
    let certain = filters.iter().filter(|filter| !matches!(filter.pattern, Setting::Unknown(_))).count();
    if certain > FILTERS {
        let message = format!("{certain} filters; a mapping has {FILTERS}, and {MOST_FILTERS} on request");
        let remedy = "join filters: an array of a pattern is a list of alternatives";
        findings.about(subject, Rule::TooManyFilters, place, message, remedy);
    }
    for filter in filters {
        pattern(subject, filter, findings);
    }
}

fn pattern(subject: &Subject<'_>, filter: &Filter, findings: &mut Findings<'_>) {
    let text = match &filter.pattern {
        Setting::Known(text, _) => text,
        Setting::Unknown(_) => return,
        Setting::Absent | Setting::Unreadable(_) => "",
    };
    let pattern = match Pattern::parse(text) {
        Ok(pattern) => pattern,
        Err(error) => {
            let message = format!("{} ({error})", error.aws_message());
            let remedy = "a pattern is the text of a JSON object with arrays at its leaves";
            return findings.about(subject, Rule::Pattern, filter.place, message, remedy);
        }
    };
    for warning in pattern.warnings() {
        let (rule, remedy) = reading_of(warning.trap());
        findings.about(subject, rule, filter.place, warning.to_string(), remedy);
    }
    images(subject, filter, pattern.as_str(), findings);
}

/// The rule that a trap belongs to, and what to do.
fn reading_of(trap: &Trap) -> (Rule, &'static str) {
    match trap {
        Trap::NumberIsText => (Rule::NumericOnNumber, "compare texts, or filter by number in the function"),
        Trap::ExistsOnBranch { .. } => (Rule::ExistsOnAttribute, "ask for a leaf: {\"S\": [{\"exists\": true}]}"),
        Trap::ValueOnBranch | Trap::OtherType { .. } | Trap::OtherText { .. } | Trap::UnknownKey { .. } => {
            (Rule::NeverMatches, "name what records have, as in dynamodb.NewImage.attribute.S")
        }
        Trap::Undocumented { .. } => (Rule::Undocumented, "use prefix, suffix or exact texts"),
        Trap::SecondOperator | Trap::TooPrecise => (Rule::ReadOtherwise, "write what AWS reads"),
    }
}

/// Images that the stream does not carry.
fn images(subject: &Subject<'_>, filter: &Filter, pattern: &str, findings: &mut Findings<'_>) {
    let view = subject.table.as_ref().and_then(|table| table.stream_view.known());
    let (Some(view), Ok(pattern)) = (view, serde_json::from_str(pattern)) else { return };
    for image in ["NewImage", "OldImage"] {
        if !carries(view, image) && reads(&pattern, image) {
            let message =
                format!("a stream of {view} has no dynamodb.{image}, so what is said of it is said of nothing");
            let remedy = format!("set a StreamViewType that carries {image}");
            findings.about(subject, Rule::ViewTooNarrow, filter.place, message, remedy);
        }
    }
}

fn carries(view: &str, image: &str) -> bool {
    match view {
        "KEYS_ONLY" => false,
        "NEW_IMAGE" => image == "NewImage",
        "OLD_IMAGE" => image == "OldImage",
        _ => true,
    }
}

/// Whether a pattern speaks of an image, nested or with a dot, in any branch of `$or`.
pub(super) fn reads(pattern: &Value, image: &str) -> bool {
    let Some(members) = pattern.as_object() else { return false };
    members.iter().any(|(name, value)| match (&**name, value) {
        ("dynamodb", Value::Object(change)) => {
            change.keys().any(|key| key.split('.').next() == Some(image)) || or(value, image)
        }
        ("$or", Value::Array(branches)) => branches.iter().any(|branch| reads(branch, image)),
        (dotted, _) => dotted.strip_prefix("dynamodb.").is_some_and(|rest| rest.split('.').next() == Some(image)),
    })
}

/// The branches of a `$or` within `dynamodb`.
fn or(change: &Value, image: &str) -> bool {
    let branches = change.get("$or").and_then(Value::as_array).into_iter().flatten();
    let mut keys = branches.filter_map(Value::as_object).flat_map(|branch| branch.keys());
    keys.any(|key| key.split('.').next() == Some(image))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_seen_however_they_are_written() {
        for (pattern, expected) in [
            (r#"{"dynamodb": {"OldImage": {"a": {"S": ["x"]}}}}"#, true),
            (r#"{"dynamodb.OldImage.a.S": ["x"]}"#, true),
            (r#"{"dynamodb": {"OldImage.a.S": ["x"]}}"#, true),
            (r#"{"$or": [{"eventName": ["INSERT"]}, {"dynamodb": {"OldImage": {"a": {"S": ["x"]}}}}]}"#, true),
            (r#"{"dynamodb": {"$or": [{"Keys.PK.S": ["x"]}, {"OldImage": {"a": {"S": ["x"]}}}]}}"#, true),
            (r#"{"dynamodb": {"NewImage": {"OldImage": {"S": ["x"]}}}}"#, false),
            (r#"{"eventName": ["OldImage"]}"#, false),
        ] {
            let pattern = serde_json::from_str(pattern).expect("JSON");
            assert_eq!(reads(&pattern, "OldImage"), expected, "{pattern}");
        }
    }
}
