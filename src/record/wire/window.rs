//! Tumbling windows: what an event carries besides its records.

use std::ops::Range;

use bytes::Bytes;

use super::{error::PayloadError, members::Members, split::text};

/// The tumbling window that a batch belongs to.
///
/// With `TumblingWindowInSeconds` set on the event source mapping, Lambda hands the state that an invocation returns to the
/// next one of the same window and shard. The last invocation of a window has no records.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TumblingWindow {
    /// The beginning of the window, in ISO 8601, inclusive.
    pub start: String,
    /// The end of the window, in ISO 8601, exclusive.
    pub end: String,
    /// The state that the window's previous invocation returned, as JSON; `{}` in its first.
    pub state: Bytes,
    /// The shard that the window's records come from.
    pub shard_id: Option<String>,
    /// The ARN of the stream.
    pub source_arn: Option<String>,
    /// Whether this is the window's last invocation; its records are empty.
    pub is_final: bool,
    /// Whether Lambda ends the window before its time, because its state has outgrown 1 MB.
    pub is_terminated_early: bool,
}

/// Where the keys of a window stand in a payload.
#[derive(Debug, Clone, Default)]
pub(super) struct WindowSpans {
    window: Option<Range<usize>>,
    state: Option<Range<usize>>,
    shard_id: Option<Range<usize>>,
    source_arn: Option<Range<usize>>,
    is_final: Option<Range<usize>>,
    is_terminated_early: Option<Range<usize>>,
}

impl WindowSpans {
    /// Keeps the place of a key at the top of a payload if it belongs to a window.
    pub(super) fn note(&mut self, name: &str, value: Range<usize>) {
        *match name {
            "window" => &mut self.window,
            "state" => &mut self.state,
            "shardId" => &mut self.shard_id,
            "eventSourceARN" => &mut self.source_arn,
            "isFinalInvokeForWindow" => &mut self.is_final,
            "isWindowTerminatedEarly" => &mut self.is_terminated_early,
            _ => return,
        } = Some(value);
    }

    /// The window, if there is one.
    pub(super) fn read(&self, body: &Bytes) -> Result<Option<TumblingWindow>, PayloadError> {
        let Some(window) = self.window.clone().filter(|span| body[span.clone()] != *b"null") else {
            return Ok(None);
        };
        let (start, end) = bounds(&body[window])?;
        let state = self.state.clone().filter(|span| body[span.clone()] != *b"null");
        Ok(Some(TumblingWindow {
            start,
            end,
            state: state.map_or(Bytes::from_static(b"{}"), |span| body.slice(span)),
            shard_id: optional_text(body, &self.shard_id, "shardId")?,
            source_arn: optional_text(body, &self.source_arn, "eventSourceARN")?,
            is_final: flag(body, &self.is_final, "isFinalInvokeForWindow")?,
            is_terminated_early: flag(body, &self.is_terminated_early, "isWindowTerminatedEarly")?,
        }))
    }
}

fn bounds(window: &[u8]) -> Result<(String, String), PayloadError> {
    let (mut start, mut end) = (None, None);
    if window.first() == Some(&b'{') {
        let mut members = Members::of(window, 0);
        while let Ok(Some(member)) = members.next() {
            match &*member.name {
                "start" => start = text(&window[member.value]),
                "end" => end = text(&window[member.value]),
                _ => {}
            }
        }
    }
    let bad = |field| PayloadError::BadWindow { field, expected: "a time in ISO 8601" };
    Ok((start.ok_or_else(|| bad("window.start"))?.into_owned(), end.ok_or_else(|| bad("window.end"))?.into_owned()))
}

fn optional_text(
    body: &[u8],
    span: &Option<Range<usize>>,
    field: &'static str,
) -> Result<Option<String>, PayloadError> {
    match span.clone().map(|span| &body[span]) {
        None | Some(b"null") => Ok(None),
        Some(token) => match text(token) {
            Some(text) => Ok(Some(text.into_owned())),
            None => Err(PayloadError::BadWindow { field, expected: "a string" }),
        },
    }
}

fn flag(body: &[u8], span: &Option<Range<usize>>, field: &'static str) -> Result<bool, PayloadError> {
    match span.clone().map(|span| &body[span]) {
        None | Some(b"null" | b"false") => Ok(false),
        Some(b"true") => Ok(true),
        Some(_) => Err(PayloadError::BadWindow { field, expected: "true or false" }),
    }
}
