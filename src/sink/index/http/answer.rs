//! What a server answers, and what it means.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, de::IgnoredAny};

use super::{Created, Document, IndexError, Operation, ServerFailure, Written};
use crate::sink::index::operation::Action;

/// An answer as it came.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

#[derive(Deserialize)]
struct Bulk<'a> {
    #[serde(borrow)]
    items: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    update: Outcome<'a>,
}

#[derive(Deserialize)]
struct Outcome<'a> {
    status: u16,
    #[serde(borrow, default)]
    result: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    error: Option<Trouble<'a>>,
}

/// An error as the server describes it, or as a proxy in front of it does.
#[derive(Deserialize)]
#[serde(untagged)]
enum Trouble<'a> {
    Described {
        #[serde(rename = "type", borrow, default)]
        kind: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        reason: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        caused_by: Option<Box<Trouble<'a>>>,
    },
    Other(IgnoredAny),
}

impl Trouble<'_> {
    fn kind(&self) -> Option<&str> {
        match self {
            Self::Described { kind, .. } => kind.as_deref(),
            Self::Other(_) => None,
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Self::Described { reason, .. } => reason.as_deref(),
            Self::Other(_) => None,
        }
    }

    /// The error and its causes.
    fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |trouble| match trouble {
            Self::Described { caused_by, .. } => caused_by.as_deref(),
            Self::Other(_) => None,
        })
    }

    /// Whether the server does not run scripts that come with a request.
    fn forbids_scripts(&self) -> bool {
        let says = |reason: &str| {
            reason.starts_with("cannot execute [inline]")
                || reason.starts_with("cannot execute scripts")
                || reason.starts_with("script_lang not supported")
        };
        self.chain().filter_map(Trouble::reason).any(says)
    }

    /// Whether it is, at its root, that the server protects itself. It says 400 of too many scripts compiled at a time.
    fn is_overload(&self) -> bool {
        let kinds = ["circuit_breaking_exception", "es_rejected_execution_exception", "rejected_execution_exception"];
        self.chain().filter_map(Trouble::kind).any(|kind| kinds.contains(&kind))
    }

    /// Whether the index is closed, or cannot be made for want of shards: 400 as well, and nothing about the document.
    fn is_block(&self) -> bool {
        let closed = |trouble: &Self| trouble.kind() == Some("index_closed_exception");
        let no_shards =
            |trouble: &Self| trouble.reason().is_some_and(|reason| reason.contains("this action would add ["));
        self.chain().any(|trouble| closed(trouble) || no_shards(trouble))
    }
}

#[derive(Deserialize)]
struct Failed<'a> {
    #[serde(borrow)]
    error: Trouble<'a>,
}

#[derive(Deserialize)]
struct Found {
    found: bool,
    #[serde(rename = "_source", default)]
    source: Option<Document>,
}

type Results = Vec<Result<Written, IndexError>>;

/// What a bulk request came to: an answer per operation, unless it failed as a whole.
pub(super) fn of_bulk(
    server: &Arc<str>,
    operations: &[Operation],
    bytes: usize,
    answer: &Answer,
) -> Result<Results, IndexError> {
    match answer.status {
        200 => {
            let bulk: Bulk<'_> = serde_json::from_slice(&answer.body).map_err(|_| unreadable(server, 200))?;
            let outcomes = operations.iter().zip(&bulk.items);
            Ok(outcomes.map(|(operation, item)| of_operation(server, operation, &item.update)).collect())
        }
        413 => Err(IndexError::TooLarge { server: Arc::clone(server), bytes }),
        _ => {
            let index = operations.first().map_or("", |operation| operation.index());
            Err(answer.failure(server, index))
        }
    }
}

fn of_operation(server: &Arc<str>, operation: &Operation, outcome: &Outcome<'_>) -> Result<Written, IndexError> {
    let kind = outcome.error.as_ref().and_then(Trouble::kind);
    match (outcome.status, outcome.result.as_deref(), kind, &operation.action) {
        (200..=299, Some("noop"), _, _) => Ok(Written::Stale),
        (200..=299, _, None, _) => Ok(Written::Applied),
        // There was nothing to remove.
        (404, _, Some("document_missing_exception"), Action::Remove) => Ok(Written::Applied),
        _ => Err(failure(server, operation.index(), outcome.status, outcome.error.as_ref())),
    }
}

/// What a read found.
pub(super) fn of_read(server: &Arc<str>, index: &str, answer: &Answer) -> Result<Option<Document>, IndexError> {
    match (answer.status, serde_json::from_slice::<Found>(&answer.body)) {
        (200 | 404, Ok(Found { found: false, .. })) => Ok(None),
        (200, Ok(Found { source: Some(source), .. })) => Ok(Some(source)),
        (200, _) => Err(unreadable(server, 200)),
        _ => Err(answer.failure(server, index)),
    }
}

/// Whether an index was made.
pub(super) fn of_create(server: &Arc<str>, index: &str, answer: &Answer) -> Result<Created, IndexError> {
    let existed = ["resource_already_exists_exception", "index_already_exists_exception"];
    match answer.status {
        200 | 201 => Ok(Created::New),
        400 if answer.error().as_ref().and_then(Trouble::kind).is_some_and(|kind| existed.contains(&kind)) => {
            Ok(Created::Existed)
        }
        _ => Err(answer.failure(server, index)),
    }
}

impl Answer {
    fn error(&self) -> Option<Trouble<'_>> {
        serde_json::from_slice::<Failed<'_>>(&self.body).ok().map(|failed| failed.error)
    }

    fn failure(&self, server: &Arc<str>, index: &str) -> IndexError {
        failure(server, index, self.status, self.error().as_ref())
    }
}

fn unreadable(server: &Arc<str>, status: u16) -> IndexError {
    let said = ServerFailure { status, kind: None, detail: Some("the answer cannot be read".to_owned()) };
    IndexError::Failed { server: Arc::clone(server), source: Arc::new(said) }
}

/// What a status other than success means, for a request or for one of its operations.
fn failure(server: &Arc<str>, index: &str, status: u16, trouble: Option<&Trouble<'_>>) -> IndexError {
    let server = Arc::clone(server);
    let source = Arc::new(said(status, trouble));
    let kind = trouble.and_then(Trouble::kind);
    match status {
        _ if trouble.is_some_and(Trouble::forbids_scripts) => IndexError::NoScripts { server, source },
        _ if trouble.is_some_and(Trouble::is_overload) => IndexError::Throttled { server, source },
        _ if trouble.is_some_and(Trouble::is_block) => IndexError::Blocked { server, index: index.into(), source },
        401 | 403 => IndexError::Denied { server, source },
        404 if kind == Some("index_not_found_exception") => {
            IndexError::NoSuchIndex { server, index: index.into(), source }
        }
        // The document was written by another between the server's look at it and its write: not "older".
        409 => IndexError::Conflict { server, source },
        429 => IndexError::Throttled { server, source },
        // A search server says what is wrong. Whoever else answers says nothing about documents.
        400 | 405..=407 | 409..=499 if kind.is_some() => IndexError::Refused { server, index: index.into(), source },
        _ => IndexError::Failed { server, source },
    }
}

/// What the server said, as far as it shows no document.
fn said(status: u16, trouble: Option<&Trouble<'_>>) -> ServerFailure {
    let kinds: Vec<_> =
        trouble.into_iter().flat_map(Trouble::chain).filter_map(Trouble::kind).filter(is_kind).collect();
    let reason = trouble.and_then(Trouble::reason);
    let kind = (!kinds.is_empty()).then(|| kinds.join(", caused by "));
    ServerFailure { status, kind, detail: reason.and_then(detail) }
}

/// Kinds are names of exceptions; anything else might be text.
fn is_kind(kind: &&str) -> bool {
    kind.len() <= 64 && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// How reasons begin that name fields, types, indexes or limits, and what they name. `{}` stands for a name in brackets.
///
/// Everything behind the last name is dropped: there, values and ids are quoted.
const NAMING: [(&str, &str); 12] = [
    ("failed to parse field {} of type {}", "field `{}` of type `{}`"),
    ("failed to parse field {}", "field `{}`"),
    ("object mapping for {}", "field `{}` is an object in the mapping"),
    ("mapping set to strict, dynamic introduction of {}", "field `{}` is not in the strict mapping"),
    ("mapper {} cannot be changed from type {} to {}", "field `{}` cannot change from type `{}` to `{}`"),
    ("can't merge a non object mapping {}", "field `{}` is no object in the mapping"),
    ("Limit of total fields {}", "limit of `{}` fields"),
    ("Limit of mapping depth {}", "limit of `{}` levels"),
    ("no such index {}", "index `{}`"),
    ("Invalid index name {}", "index name `{}`"),
    ("index {} blocked by", "index `{}` is blocked"),
    ("Document contains at least one immense term in field=\"", "a term of field `{}` is too long for its type"),
];

/// What a reason is about, if it is one of those known to say so without showing a document.
fn detail(reason: &str) -> Option<String> {
    let reason = without_position(reason);
    NAMING.iter().find_map(|(pattern, text)| {
        let names = names(reason, pattern)?;
        let mut text = (*text).to_owned();
        names.iter().for_each(|name| text = text.replacen("{}", name, 1));
        Some(text)
    })
}

/// The names that stand in a reason where a pattern has `{}`.
fn names<'r>(mut reason: &'r str, pattern: &str) -> Option<Vec<&'r str>> {
    if let Some(rest) = pattern.ends_with('"').then(|| strip(reason, pattern)).flatten() {
        return Some(vec![rest.split_once('"')?.0]);
    }
    let mut names = Vec::new();
    for (at, part) in pattern.split("{}").enumerate() {
        if at > 0 {
            let (name, rest) = reason.strip_prefix('[')?.split_once(']')?;
            names.push(name);
            reason = rest;
        }
        reason = strip(reason, part)?;
    }
    Some(names)
}

fn strip<'r>(text: &'r str, prefix: &str) -> Option<&'r str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// Newer servers put `[line:column] ` in front.
fn without_position(reason: &str) -> &str {
    let position = |(at, _): &(&str, &str)| at.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    let rest = reason.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    rest.filter(position).map_or(reason, |(_, rest)| rest)
}

#[cfg(test)]
mod tests;
