//! Whether the source of a mapping is a stream, and how many read it.

use super::{Findings, Rule, Subject};
use crate::template::{Reference, Setting, Source, Table};

const VIEWS: [&str; 4] = ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"];

pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let place = subject.mapping.stream_place;
    let not_a_stream = match (&subject.mapping.stream, &subject.table) {
        (Source::Resource(reference), Some(table)) => match reference.attribute.as_deref() {
            Some("StreamArn") => return view(subject, table, findings),
            _ => true,
        },
        (Source::Resource(reference), None) => is_known_otherwise(reference, findings),
        (Source::Arn(text), _) => {
            text.starts_with("arn:") && !(text.contains(":dynamodb:") && text.contains("/stream/"))
        }
        (Source::Unknown(_), _) => false,
    };
    if not_a_stream {
        let message = format!("Unrecognized event source. ({} is no stream of a table)", subject.mapping.stream);
        findings.about(subject, Rule::StreamArn, place, message, "name the stream: !GetAtt Table.StreamArn");
    }
}

/// Whether a reference names something of the template that has no outputs of its own.
fn is_known_otherwise(reference: &Reference, findings: &Findings<'_>) -> bool {
    let resource = findings.template.target(reference);
    resource.is_some_and(|resource| !resource.has_outputs())
}

fn view(subject: &Subject<'_>, table: &Table, findings: &mut Findings<'_>) {
    match &table.stream_view {
        Setting::Absent => {
            let message = format!("table {} has no stream, so its attribute StreamArn does not exist", table.id);
            let remedy = format!("add StreamSpecification: {{StreamViewType: NEW_AND_OLD_IMAGES}} to {}", table.id);
            findings.about(subject, Rule::NoStream, subject.mapping.stream_place, message, remedy);
        }
        Setting::Known(view, place) if !VIEWS.contains(&&**view) => {
            let message = format!(
                "1 validation error detected: Value '{view}' at 'streamSpecification.streamViewType' failed to satisfy \
                 constraint: Member must satisfy enum value set: [NEW_IMAGE, OLD_IMAGE, NEW_AND_OLD_IMAGES, KEYS_ONLY]"
            );
            findings.about(subject, Rule::WrongType, *place, message, "say NEW_AND_OLD_IMAGES");
        }
        _ => {}
    }
}

pub(super) fn check_all(subjects: &[Subject<'_>], findings: &mut Findings<'_>) {
    let known: Vec<&Subject<'_>> = subjects.iter().filter(|subject| is_deployed(subject)).collect();
    for (at, subject) in known.iter().enumerate() {
        let same: Vec<_> = known[..at].iter().filter(|it| it.mapping.stream == subject.mapping.stream).collect();
        if same.iter().any(|it| invoke_the_same(it, subject)) {
            duplicate(subject, findings);
        }
        let readers = same.iter().filter(|it| reads(it)).count();
        if reads(subject) && readers == most_readers(subject) {
            too_many(subject, readers, findings);
        }
    }
}

/// Whether it is deployed for sure, and reads a stream that can be told from others.
fn is_deployed(subject: &Subject<'_>) -> bool {
    let named = match &subject.mapping.stream {
        Source::Resource(_) => true,
        Source::Arn(text) | Source::Unknown(text) => tells(text),
    };
    named && subject.mapping.active == Some(true)
}

/// Whether two mappings, for sure, invoke one function by one qualifier.
fn invoke_the_same(one: &Subject<'_>, other: &Subject<'_>) -> bool {
    let (one, other) = (&one.mapping, &other.mapping);
    one.function.is_some()
        && (&one.function, &one.qualifier) == (&other.function, &other.qualifier)
        && one.qualifier.as_deref().is_none_or(tells)
}

/// Whether a text stands for one value: it names each function that nobody evaluates together with its whole argument.
fn tells(text: &str) -> bool {
    let mut functions = text.split("Fn::").skip(1);
    let has_argument = |said: &str| said.trim_start_matches(char::is_alphanumeric).starts_with(' ');
    !text.is_empty() && functions.all(has_argument)
}

/// Whether it reads the stream for sure.
fn reads(subject: &Subject<'_>) -> bool {
    subject.mapping.enabled.or(true) == Some(true)
}

/// As many as read a shard without being throttled.
fn most_readers(subject: &Subject<'_>) -> usize {
    if subject.table.as_ref().is_some_and(|table| table.is_global) { 1 } else { 2 }
}

/// ESM-9.
fn duplicate(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let message = format!(
        "The event source arn (\" {} \") and function (\" {} \") provided mapping already exists.",
        subject.mapping.stream,
        subject.function_name()
    );
    let remedy = "remove one of the two; filters of one mapping are alternatives already";
    findings.about(subject, Rule::DuplicateMapping, subject.place(), message, remedy);
}

fn too_many(subject: &Subject<'_>, readers: usize, findings: &mut Findings<'_>) {
    let message = format!(
        "{readers} other mappings read this stream; DynamoDB serves {readers} readers of a shard and throttles more of them"
    );
    let remedy = "handle the changes in one function with several routes, or disable a mapping";
    findings.about(subject, Rule::TooManyReaders, subject.place(), message, remedy);
}
