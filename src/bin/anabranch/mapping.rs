//! `anabranch mapping`: the event source mappings of a template, for those who do not deploy it.

use std::{collections::BTreeMap, path::PathBuf};

use anabranch::template::{Filter, Mapping, Node, Setting, Source, Template, Value};
use serde_json::json;

use crate::BoxError;

/// Event source mappings of a template.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Print(Print),
}

/// Print the AWS CLI call that creates each mapping, as the template has it.
///
/// What only a deployment knows stands in variables of the shell, named after what the template calls it:
/// $PET_TRACKER_STREAM_ARN for !GetAtt PetTracker.StreamArn.
#[derive(clap::Args)]
struct Print {
    /// The template, YAML or JSON
    #[arg(long, default_value = "template.yaml")]
    template: PathBuf,
    /// A parameter's value, in place of its default
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = crate::check::parameter)]
    parameters: Vec<(String, String)>,
    /// The functions, by binary or logical id; all, if none is named
    #[arg(value_name = "FUNCTION")]
    functions: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), BoxError> {
    let Command::Print(args) = &args.command;
    let parameters: BTreeMap<String, String> = args.parameters.iter().cloned().collect();
    let template = Template::read_with(&args.template, &parameters)?;
    let calls: Vec<(String, String)> = template.mappings().iter().map(|mapping| call(mapping, &template)).collect();
    let known = |name: &String| calls.iter().any(|(function, _)| function == name);
    if let Some(name) = args.functions.iter().find(|name| !known(name)) {
        return Err(format!("no function {name} with a DynamoDB stream in {}", template.file()).into());
    }
    let chosen = calls.iter().filter(|(name, _)| args.functions.is_empty() || args.functions.contains(name));
    let texts: Vec<&str> = chosen.map(|(_, text)| &**text).collect();
    println!("{}", texts.join("\n\n"));
    Ok(())
}

/// The name of the function, and the call that maps the stream to it.
fn call(mapping: &Mapping, template: &Template) -> (String, String) {
    let function = function_name(mapping, template);
    let mut lines = vec![
        "aws lambda create-event-source-mapping".to_owned(),
        format!("--function-name {}", word(&function)),
        format!("--event-source-arn {}", stream(&mapping.stream)),
    ];
    let property = |name| mapping.properties.get(name);
    for (name, flag) in [
        ("StartingPosition", "--starting-position"),
        ("BatchSize", "--batch-size"),
        ("MaximumBatchingWindowInSeconds", "--maximum-batching-window-in-seconds"),
        ("ParallelizationFactor", "--parallelization-factor"),
        ("TumblingWindowInSeconds", "--tumbling-window-in-seconds"),
        ("MaximumRetryAttempts", "--maximum-retry-attempts"),
        ("MaximumRecordAgeInSeconds", "--maximum-record-age-in-seconds"),
    ] {
        lines.extend(property(name).map(|node| format!("{flag} {}", value(node))));
    }
    let types: Vec<String> =
        property("FunctionResponseTypes").map(Node::one_or_more).unwrap_or_default().iter().map(value).collect();
    lines.extend((!types.is_empty()).then(|| format!("--function-response-types {}", types.join(" "))));
    lines.extend((mapping.bisect.known() == Some(&true)).then(|| "--bisect-batch-on-function-error".to_owned()));
    lines.extend((mapping.enabled.known() == Some(&false)).then(|| "--no-enabled".to_owned()));
    lines.extend(mapping.filters.known().map(|filters| format!("--filter-criteria {}", word(&criteria(filters)))));
    lines.extend(mapping.on_failure.as_ref().map(|node| {
        let destination = unquoted(node, |variable| format!("'\"${variable}\"'"));
        format!("--destination-config '{{\"OnFailure\":{{\"Destination\":\"{destination}\"}}}}'")
    }));
    (function, lines.join(" \\\n    "))
}

/// The binary, which `cargo lambda deploy` names the function by, or the logical id.
fn function_name(mapping: &Mapping, template: &Template) -> String {
    let id = mapping.function.as_deref().unwrap_or(&mapping.id);
    let binary = template.function(id).and_then(|function| function.binary.known().cloned());
    binary.unwrap_or_else(|| id.to_owned())
}

fn stream(source: &Source) -> String {
    match source {
        Source::Arn(text) => word(text),
        Source::Resource(reference) => format!("\"${}\"", variable(&reference.to_string())),
        Source::Unknown(about) => format!("\"${}\"", variable(about)),
    }
}

fn value(node: &Node) -> String {
    match &node.value {
        Value::Scalar(scalar) if scalar.whole => word(&scalar.text),
        _ => format!("\"{}\"", unquoted(node, |variable| format!("${variable}"))),
    }
}

/// The text of a value, where `shown` writes a variable.
fn unquoted(node: &Node, shown: impl Fn(&str) -> String) -> String {
    match &node.value {
        Value::Scalar(scalar) => scalar.text.to_string(),
        Value::Resource(reference) => shown(&variable(&reference.to_string())),
        Value::Unknown(about) => shown(&variable(about.trim_start_matches("Ref "))),
        _ => String::new(),
    }
}

/// `${PetTracker.StreamArn}` as the shell names it: `PET_TRACKER_STREAM_ARN`.
fn variable(name: &str) -> String {
    let mut words = String::new();
    let mut ends = false;
    for one in name.chars() {
        if one.is_ascii_alphanumeric() {
            if ends && one.is_ascii_uppercase() && !words.is_empty() {
                words.push('_');
            }
            words.push(one.to_ascii_uppercase());
        }
        ends = !one.is_ascii_uppercase();
    }
    words
}

fn criteria(filters: &[Filter]) -> String {
    let pattern = |filter: &Filter| match &filter.pattern {
        Setting::Known(text, _) => Some(json!({"Pattern": text})),
        _ => None,
    };
    json!({"Filters": filters.iter().filter_map(pattern).collect::<Vec<_>>()}).to_string()
}

/// A word of the shell: quoted where it has to be.
fn word(text: &str) -> String {
    let plain = |one: char| one.is_ascii_alphanumeric() || "-_./:=@".contains(one);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_variables() {
        for (name, expected) in [
            ("${PetTracker.StreamArn}", "PET_TRACKER_STREAM_ARN"),
            ("${Failures.Arn}", "FAILURES_ARN"),
            ("Ref TableStream", "REF_TABLE_STREAM"),
            ("Queue2Arn", "QUEUE2_ARN"),
        ] {
            assert_eq!(variable(name), expected);
        }
    }

    #[test]
    fn words_are_quoted_where_they_have_to_be() {
        assert_eq!(word("arn:aws:sqs:eu-west-1:1:q"), "arn:aws:sqs:eu-west-1:1:q");
        assert_eq!(word(r#"{"a": "it's"}"#), r#"'{"a": "it'\''s"}'"#);
        assert_eq!(word(""), "''");
    }
}
