//! What the function may do, against what it is fed with.

use serde_json::{Value, json};

use super::{Findings, Rule, Subject, filter};
use crate::{
    pattern::Pattern,
    template::{Function, Mapping, Setting, Table},
};

const WRITES: [&str; 4] = ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"];

pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let Some(function) = &subject.function else { return };
    reads_the_stream(subject, function, findings);
    if let Some(table) = &subject.table {
        writes_to_its_source(subject, function, table, findings);
    }
    deletes(subject, function, findings);
}

fn reads_the_stream(subject: &Subject<'_>, function: &Function, findings: &mut Findings<'_>) {
    let table = subject.table.as_ref().and_then(|table| findings.template.resource(&table.id));
    let allows = match table {
        Some(table) => function.permissions.allows_on("dynamodb:GetRecords", table, findings.template),
        None => function.permissions.allows("dynamodb:GetRecords"),
    };
    if allows == Some(false) {
        let message = format!(
            "Cannot access stream {}. Please ensure the role can perform the GetRecords, GetShardIterator, DescribeStream, \
             and ListStreams Actions on your stream in IAM.",
            subject.mapping.stream
        );
        let remedy = "allow these four actions on the stream, or attach AWSLambdaDynamoDBExecutionRole";
        findings.about(subject, Rule::StreamPermission, subject.mapping.stream_place, message, remedy);
    }
}

/// A filter may keep its own writes out; what it lets through nobody can tell from here.
fn writes_to_its_source(subject: &Subject<'_>, function: &Function, table: &Table, findings: &mut Findings<'_>) {
    if !subject.mapping.filters.is_absent() {
        return;
    }
    let writes = WRITES.iter().flat_map(|action| function.permissions.allowing(action));
    if let Some(statement) = writes.into_iter().find(|statement| statement.names_items_of(&table.id)) {
        let message = format!("{} may write to {}, and is invoked with what it has written", function.id, table.id);
        let remedy = "filter its own writes out with FilterCriteria, or write to another table";
        findings.about(subject, Rule::Loop, statement.place, message, remedy);
    }
}

/// Batch writes delete too.
fn deletes(subject: &Subject<'_>, function: &Function, findings: &mut Findings<'_>) {
    let permissions = &function.permissions;
    let denied =
        ["dynamodb:DeleteItem", "dynamodb:BatchWriteItem"].iter().all(|it| permissions.allows(it) == Some(false));
    let Some(statement) = permissions.allowing("dynamodb:PutItem").next() else { return };
    if denied && sees_removes(&subject.mapping) {
        let message = format!("{} may put rows and not delete them: removed items stay in its target", function.id);
        let remedy = "allow dynamodb:DeleteItem, or filter by eventName [\"INSERT\", \"MODIFY\"]";
        findings.about(subject, Rule::NoDeletePermission, statement.place, message, remedy);
    }
}

/// Whether removes pass the filters, for sure.
fn sees_removes(mapping: &Mapping) -> bool {
    match &mapping.filters {
        Setting::Absent => true,
        Setting::Known(filters, _) => {
            filters.iter().any(|filter| filter.pattern.known().is_some_and(|it| lets_pass(it)))
        }
        Setting::Unknown(_) | Setting::Unreadable(_) => false,
    }
}

/// A remove has no new image; what is asked of one, or of alternatives, keeps it out or may do so.
fn lets_pass(pattern: &str) -> bool {
    let Ok(pattern) = serde_json::from_str::<Value>(pattern) else { return false };
    let asks_for_more = pattern.get("$or").is_some() || filter::reads(&pattern, "NewImage");
    !asks_for_more && pattern.get("eventName").is_none_or(is_for_removes)
}

fn is_for_removes(names: &Value) -> bool {
    let pattern = Pattern::parse(&json!({ "eventName": names }).to_string());
    pattern.is_ok_and(|pattern| pattern.matches_json(br#"{"eventName": "REMOVE"}"#) == Ok(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_lets_removes_pass_or_not() {
        for (pattern, expected) in [
            (r#"{"eventName": ["INSERT", "REMOVE"]}"#, true),
            (r#"{"eventName": [{"anything-but": ["INSERT"]}]}"#, true),
            (r#"{"eventName": [{"prefix": "REM"}]}"#, true),
            (r#"{"dynamodb": {"OldImage": {"PK": {"S": ["a"]}}}}"#, true),
            (r#"{"dynamodb": {"Keys": {"PK": {"S": ["a"]}}}}"#, true),
            (r#"{"eventName": ["INSERT", "MODIFY"]}"#, false),
            (r#"{"eventName": [{"anything-but": ["REMOVE"]}]}"#, false),
            (r#"{"eventName": [{"prefix": "INS"}]}"#, false),
            (r#"{"dynamodb": {"NewImage": {"PK": {"S": ["a"]}}}}"#, false),
            (r#"{"dynamodb.NewImage.PK.S": ["a"]}"#, false),
            (r#"{"$or": [{"eventName": ["INSERT"]}, {"eventName": ["MODIFY"]}]}"#, false),
        ] {
            assert_eq!(lets_pass(pattern), expected, "{pattern}");
        }
    }
}
