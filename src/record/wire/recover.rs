//! Goes on behind a record whose end is uncertain.
//!
//! What makes this safe: a member whose value is a plain string, such as `"eventID":".."`, does not occur inside of an
//! image, where every value but a type tag's is an object, nor inside of a string, where its quotes would be escaped. So
//! `{"eventID":"` marks the beginning of a record, whatever came before it.

use std::borrow::Cow;

use memchr::{memchr_iter, memmem, memrchr_iter};

use super::{
    members::Members,
    scan::{digits, past_space, string_length},
    split::{Next, Unfinished, trailer},
    window::WindowSpans,
};

/// The tags of attribute values. A list's elements begin with one, a record never does.
const TAGS: [&str; 10] = ["S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"];

/// The keys of a record whose value is a string.
const TEXT_KEYS: [&str; 8] =
    ["eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "eventSourceARN", "recordFormat", "tableName"];

/// Looks for the end of `Records` at so many brackets, from the end of the payload backwards.
const BRACKETS: usize = 64;

/// Where the damaged element at `start` ends, at the latest, and what comes next.
pub(super) fn resume(body: &[u8], start: usize, window: &mut WindowSpans) -> (usize, Next) {
    if let Some(next) = next_record(body, start + 1) {
        return (without_separator(body, next).max(start), Next::Element(next));
    }
    if let Some(end) = end_of_records(body, start, window) {
        return (trim_space_end(&body[..end]).len().max(start), Next::End(Ok(())));
    }
    (body.len(), Next::End(Err(Unfinished::Broken(body.len()))))
}

/// The offset of the first brace at or after `at` that begins a record.
pub(super) fn next_record(body: &[u8], at: usize) -> Option<usize> {
    let tail = body.get(at..)?;
    memchr_iter(b'{', tail).map(|index| at + index).find(|&brace| begins_record(body, brace))
}

/// Whether a known key of a record with a value of its kind stands behind the brace, and the brace begins no member's value.
fn begins_record(body: &[u8], brace: usize) -> bool {
    let before = trim_space_end(&body[..brace]).last();
    before != Some(&b':') && first_member(body, brace).is_some_and(|(key, value)| plausible(&key, &body[value..]))
}

fn plausible(key: &str, value: &[u8]) -> bool {
    match key {
        "dynamodb" => value.starts_with(b"{"),
        "userIdentity" => value.starts_with(b"{") || value.starts_with(b"null"),
        _ => TEXT_KEYS.contains(&key) && value.starts_with(b"\""),
    }
}

/// The first key behind a brace, and the offset of its value.
fn first_member(body: &[u8], brace: usize) -> Option<(Cow<'_, str>, usize)> {
    Members::of(body, brace).next_key().ok().flatten()
}

/// Whether what stands at `start`, behind a comma, can be an element of `Records` rather than the rest of a record that seemed
/// to have ended: not a key, and not an attribute value.
pub(super) fn may_be_element(body: &[u8], start: usize) -> bool {
    match body.get(start) {
        Some(b'"') => false,
        Some(b'{') => first_member(body, start).is_none_or(|(key, _)| !TAGS.contains(&&*key)),
        _ => true,
    }
}

/// The offset of the bracket that ends `Records`: one behind which the payload is well-formed to its end.
fn end_of_records(body: &[u8], start: usize, window: &mut WindowSpans) -> Option<usize> {
    let mut found = None;
    for bracket in memrchr_iter(b']', &body[start..]).take(BRACKETS).map(|index| start + index) {
        let mut spans = window.clone();
        if trailer(body, bracket + 1, &mut spans).is_ok() {
            found = Some((bracket, spans));
        }
    }
    found.map(|(bracket, spans)| {
        *window = spans;
        bracket
    })
}

/// The offset behind the element before `next`, without the comma between them.
fn without_separator(body: &[u8], next: usize) -> usize {
    let before = trim_space_end(&body[..next]);
    trim_space_end(before.strip_suffix(b",").unwrap_or(before)).len()
}

fn trim_space_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\n' | b'\t' | b'\r'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Salvages the sequence number of a record that cannot be read.
///
/// If two records have run together and one of the numbers is gone, it is uncertain whose the other one is. Reporting the later
/// record's would make Lambda pass over the earlier one, so then there is none.
pub(super) fn sequence_number(record: &[u8]) -> Option<String> {
    let mut numbers = texts_of(record, b"\"SequenceNumber\"").filter(|text| is_sequence_number(text));
    let first = numbers.next()?;
    let count = 1 + numbers.count();
    let records = [b"\"eventID\"".as_slice(), b"\"eventName\"", b"\"eventSourceARN\""];
    let most = records.map(|key| texts_of(record, key).count()).into_iter().max();
    (Some(count) >= most).then(|| String::from_utf8_lossy(first).into_owned())
}

/// Whether a text is a sequence number: 1 to 40 digits.
pub(super) fn is_sequence_number(text: &[u8]) -> bool {
    (1..=40).contains(&text.len()) && digits(text) == text.len()
}

/// The content of every string that follows `key` and a colon.
fn texts_of<'a>(record: &'a [u8], key: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    memmem::find_iter(record, key).filter_map(move |at| {
        let colon = past_space(record, at + key.len());
        let quote = past_space(record, colon + 1);
        if record.get(colon) != Some(&b':') || record.get(quote) != Some(&b'"') {
            return None;
        }
        let content = &record[quote + 1..];
        Some(&content[..string_length(content)?.bytes])
    })
}
