//! Filter patterns: those that Lambda refuses, and those that never match.

use serde_json::Value;

use super::{Findings, Rule, Subject};
use crate::template::{Filter, Setting};

/// As many filters as a mapping has, and as many as the quota can be raised to.
const FILTERS: usize = 5;
const MOST_FILTERS: usize = 10;
const CHARACTERS: usize = 4_096;

const FIELDS: [&str; 8] =
    ["eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "eventSourceARN", "dynamodb", "userIdentity"];
const CHANGE: [&str; 7] =
    ["ApproximateCreationDateTime", "Keys", "NewImage", "OldImage", "SequenceNumber", "SizeBytes", "StreamViewType"];
const EVENTS: [&str; 3] = ["INSERT", "MODIFY", "REMOVE"];
const TYPES: [&str; 10] = ["S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"];
const OPERATORS: [&str; 8] =
    ["prefix", "suffix", "anything-but", "numeric", "exists", "equals-ignore-case", "wildcard", "cidr"];
/// What EventBridge has and Lambda's page about filters does not.
const UNDOCUMENTED: [&str; 2] = ["wildcard", "cidr"];

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
    if filters.len() > FILTERS {
        let message = format!("{} filters; a mapping has {FILTERS}, and {MOST_FILTERS} on request", filters.len());
        let remedy = "join filters: an array of a pattern is a list of alternatives";
        findings.about(subject, Rule::TooManyFilters, place, message, remedy);
    }
    for filter in filters {
        pattern(subject, filter, findings);
    }
}

fn pattern(subject: &Subject<'_>, filter: &Filter, findings: &mut Findings<'_>) {
    let Setting::Known(text, place) = &filter.pattern else {
        if let Setting::Absent | Setting::Unreadable(_) = filter.pattern {
            invalid(subject, filter, "Pattern takes the text of a JSON object", findings);
        }
        return;
    };
    match parse(text) {
        Err(reason) => invalid(subject, filter, &reason, findings),
        Ok(pattern) => {
            let mut traps = Vec::new();
            walk(&pattern, &mut Vec::new(), &mut |path, leaf| traps.extend(trap(subject, path, leaf)));
            for Trap { rule, message, remedy } in traps {
                findings.about(subject, rule, *place, message, remedy);
            }
        }
    }
}

/// ESM-10.
fn invalid(subject: &Subject<'_>, filter: &Filter, reason: &str, findings: &mut Findings<'_>) {
    let message = format!("Invalid filter pattern definition. ({reason})");
    findings.about(
        subject,
        Rule::Pattern,
        filter.place,
        message,
        "patterns are JSON objects with arrays at their leaves",
    );
}

fn parse(text: &str) -> Result<Value, String> {
    if text.chars().count() > CHARACTERS {
        return Err(format!("more than {CHARACTERS} characters"));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    if !value.is_object() {
        return Err("not an object".to_owned());
    }
    shape(&value, "").map(|()| value)
}

/// Objects down to arrays that hold something.
fn shape(value: &Value, path: &str) -> Result<(), String> {
    match value {
        Value::Object(members) if members.is_empty() => {
            Err(format!("{path} is an empty object").trim_start().to_owned())
        }
        Value::Object(members) => {
            members.iter().try_for_each(|(name, value)| shape(value, format!("{path}.{name}").trim_start_matches('.')))
        }
        Value::Array(alternatives) if alternatives.is_empty() => Err(format!("{path} is an empty array")),
        Value::Array(alternatives) if path == "$or" || path.ends_with(".$or") => {
            alternatives.iter().try_for_each(|branch| shape(branch, path))
        }
        Value::Array(alternatives) => {
            let unknown = |value: &&Value| operator(value).is_some_and(|name| !OPERATORS.contains(&name));
            match alternatives.iter().find(unknown).and_then(operator) {
                Some(name) => Err(format!("{path} has no operator {name}")),
                None => Ok(()),
            }
        }
        _ => Err(format!("{path} is neither an array nor an object")),
    }
}

fn operator(alternative: &Value) -> Option<&str> {
    alternative.as_object()?.keys().next().map(String::as_str)
}

/// Shows every leaf with the names that lead to it. Dots in names are nesting (ESM-24); `$or` has no name of its own.
fn walk<'a>(value: &'a Value, path: &mut Vec<&'a str>, show: &mut impl FnMut(&[&str], &'a [Value])) {
    for (name, value) in value.as_object().into_iter().flatten() {
        if let ("$or", Value::Array(branches)) = (&**name, value) {
            branches.iter().for_each(|branch| walk(branch, path, show));
            continue;
        }
        let depth = path.len();
        path.extend(name.split('.'));
        match value {
            Value::Array(leaf) => show(path, leaf),
            value => walk(value, path, show),
        }
        path.truncate(depth);
    }
}

struct Trap {
    rule: Rule,
    message: String,
    remedy: String,
}

fn trap(subject: &Subject<'_>, path: &[&str], leaf: &[Value]) -> Option<Trap> {
    let shown = path.join(".");
    let trap = |rule, message: String, remedy: &str| Some(Trap { rule, message, remedy: remedy.to_owned() });
    if let Some(message) = not_in_a_record(path, leaf) {
        return trap(Rule::NeverMatches, message, "name a field that records have: dynamodb.NewImage.attribute.S");
    }
    if let Some((image, view)) = missing_image(subject, path) {
        let message = format!("{shown} is not in the records of a stream of {view}");
        return trap(Rule::ViewTooNarrow, message, &format!("set a StreamViewType that carries {image}"));
    }
    if descriptor(path) == Some("N") && leaf.iter().any(never_a_text) {
        let message = format!("{shown}: numbers of items are texts in the records, and a number never matches one");
        return trap(
            Rule::NumericOnNumber,
            message,
            "compare texts: [\"10\"], prefix or anything-but; or filter in the function",
        );
    }
    if is_in_item(path) && descriptor(path).is_none() {
        return trap_of_attribute(&shown, path, leaf);
    }
    let operator = leaf.iter().filter_map(Value::as_object).flat_map(|object| object.keys());
    let undocumented = operator.into_iter().find(|name| UNDOCUMENTED.contains(&&***name))?;
    let message = format!("{shown}: {undocumented} is an operator of EventBridge that Lambda does not document");
    trap(Rule::Undocumented, message, "use prefix, suffix or exact texts")
}

/// An attribute holds `{"S": ..}`, never a value itself: ESM-20, ESM-21.
fn trap_of_attribute(shown: &str, path: &[&str], leaf: &[Value]) -> Option<Trap> {
    let exists = leaf.iter().any(|value| value.get("exists").is_some());
    let full = if path.len() == 2 { format!("{shown}.PK.S") } else { format!("{shown}.S") };
    Some(if exists {
        let message = format!("{shown}: exists sees leaves only, and the leaves are below the type descriptor");
        Trap { rule: Rule::ExistsOnAttribute, message, remedy: format!("ask for a leaf: {full}") }
    } else {
        let message = format!("{shown}: the attribute's type is part of its path, and nothing else matches");
        Trap { rule: Rule::NeverMatches, message, remedy: format!("add the type: {full}") }
    })
}

/// `dynamodb.NewImage` and what is in it, the same of the other image and of keys.
fn is_in_item(path: &[&str]) -> bool {
    matches!(path, ["dynamodb", "NewImage" | "OldImage" | "Keys", ..])
}

/// The type descriptor that a path ends with: that of `dynamodb.NewImage.weight.N` is `N`.
fn descriptor<'a>(path: &[&'a str]) -> Option<&'a str> {
    let last = *path.last().filter(|_| path.len() >= 4 && is_in_item(path))?;
    TYPES.contains(&last).then_some(last)
}

fn not_in_a_record(path: &[&str], leaf: &[Value]) -> Option<String> {
    let shown = path.join(".");
    match path {
        [field, ..] if !FIELDS.contains(field) => Some(format!("{shown}: no record has a field {field}")),
        ["dynamodb", field, ..] if !CHANGE.contains(field) => {
            Some(format!("{shown}: no record has a field dynamodb.{field}"))
        }
        ["eventName"] => {
            let known = |value: &Value| value.as_str().is_none_or(|name| EVENTS.contains(&name));
            (!leaf.iter().any(known)).then(|| format!("{shown}: events are INSERT, MODIFY or REMOVE"))
        }
        _ => None,
    }
}

/// The image that a path leads into and that the stream does not carry, with the stream's view.
fn missing_image<'a>(subject: &'a Subject<'_>, path: &[&'a str]) -> Option<(&'a str, &'a str)> {
    let view = subject.table.as_ref()?.stream_view.known()?;
    let ["dynamodb", image, ..] = path else { return None };
    let carried = match *image {
        "NewImage" => matches!(&**view, "NEW_IMAGE" | "NEW_AND_OLD_IMAGES"),
        "OldImage" => matches!(&**view, "OLD_IMAGE" | "NEW_AND_OLD_IMAGES"),
        _ => true,
    };
    (!carried).then_some((*image, &**view))
}

fn never_a_text(value: &Value) -> bool {
    value.is_number() || value.get("numeric").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lambda_refuses_is_refused() {
        for text in
            ["", "plain", "null", "[]", "{\"a\"", r#"{"a": null}"#, r#"{"a": []}"#, r#"{"a": 1}"#, r#"{"a": {}}"#]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        let long = format!(r#"{{"a": ["{}"]}}"#, "x".repeat(CHARACTERS));
        assert!(parse(&long).is_err());
        for text in [r#"{"a": [1]}"#, r#"{"a": {"b": [{"exists": true}]}}"#, r#"{"$or": [{"a": [1]}, {"b": [null]}]}"#]
        {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn every_leaf_is_seen() {
        let pattern = parse(r#"{"a.b": ["1"], "$or": [{"c": {"d": ["2"]}}, {"e": ["3"]}]}"#).expect("a pattern");
        let mut seen = Vec::new();
        walk(&pattern, &mut Vec::new(), &mut |path, leaf| seen.push((path.join("/"), leaf.len())));
        seen.sort();
        assert_eq!(seen, [("a/b".to_owned(), 1), ("c/d".to_owned(), 1), ("e".to_owned(), 1)]);
    }
}
