//! The spans of a batch: what was worked on, by sequence numbers.

use tracing::{Span, info_span};

use crate::{
    handler::{Context, Entry},
    record::RawRecord,
};

/// Notes in the span of the batch how far it has been read.
pub(super) fn range(records: &[RawRecord]) {
    let span = Span::current();
    if let ([first, ..], false) = (records, span.is_disabled()) {
        if first.position() == 0 {
            span.record("first", first.sequence_number());
        }
        span.record("last", records.last().unwrap_or(first).sequence_number());
    }
}

/// The span of a handler at work on its part of a window.
pub(super) fn handler(route: &str, context: &Context, records: &[RawRecord], entries: &[Entry]) -> Span {
    let sequence_number = |entry: Option<&Entry>| entry.map(|entry| records[entry.index as usize].sequence_number());
    info_span!(
        "handler",
        requestId = context.request_id.as_deref(),
        route,
        records = entries.len(),
        first = sequence_number(entries.first()),
        last = sequence_number(entries.last()),
    )
}
