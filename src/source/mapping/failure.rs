//! What a failure destination gets: documents in AWS's shape.

use std::{collections::hash_map::RandomState, hash::BuildHasher};

use bytes::Bytes;
use serde::Serialize;

use super::{Sequence, ShardId, time};
use crate::record::{Timestamp, TumblingWindow};

/// Records that were given up on.
///
/// A queue and a topic get [`document`](Self::document), which names the records and does not hold them: who reads it
/// fetches them from the stream, within 24 hours. A bucket gets [`object`](Self::object), with the whole event.
#[derive(Debug, Clone)]
pub struct FailureRecord {
    /// Why.
    pub condition: Condition,
    /// The last request, or an id made up where there was none.
    pub request_id: String,
    /// The function.
    pub function_arn: String,
    /// How often it was invoked; where records expired, the attempt that found it out counts as well (ESM-41).
    pub invoke_count: u32,
    /// The last answer; none where records expired (ESM-40).
    pub response: Option<LastResponse>,
    /// Now.
    pub time: Timestamp,
    /// The shard.
    pub shard: ShardId,
    /// The stream.
    pub stream_arn: String,
    /// The records; none if it is the final invocation of a window that failed.
    pub records: Option<RecordRange>,
    /// The window whose final invocation failed.
    pub window: Option<TumblingWindow>,
    /// The event that the function got, or would have got.
    pub payload: Bytes,
    /// The id of the mapping.
    pub mapping: String,
}

/// Why records were given up on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Condition {
    /// The batch failed as often as it may (ESM-39).
    RetryAttemptsExhausted,
    /// The records got too old (ESM-40).
    RecordAgeExceeded,
}

/// What is told of the last answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LastResponse {
    /// 200: the service did answer.
    pub status_code: u16,
    /// `$LATEST`, or the number behind an alias.
    pub executed_version: String,
    /// `Unhandled` if the function raised an error; none if its answer was the failure.
    pub function_error: Option<&'static str>,
}

/// Which records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRange {
    /// The first.
    pub first: Sequence,
    /// The last.
    pub last: Sequence,
    /// When the first was created.
    pub first_at: Timestamp,
    /// When the last was created.
    pub last_at: Timestamp,
    /// How many there are.
    pub count: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    request_context: RequestContext<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_context: Option<&'a LastResponse>,
    version: &'static str,
    timestamp: String,
    #[serde(rename = "DDBStreamBatchInfo")]
    batch: BatchInfo<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_window_info: Option<WindowInfo<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    request_id: &'a str,
    function_arn: &'a str,
    condition: Condition,
    approximate_invoke_count: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchInfo<'a> {
    shard_id: &'a str,
    #[serde(flatten)]
    records: Option<RangeInfo<'a>>,
    stream_arn: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RangeInfo<'a> {
    start_sequence_number: &'a str,
    end_sequence_number: &'a str,
    approximate_arrival_of_first_record: String,
    approximate_arrival_of_last_record: String,
    batch_size: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WindowInfo<'a> {
    window: Span<'a>,
    is_final_invoke_for_window: bool,
    is_window_terminated_early: bool,
}

#[derive(Serialize)]
struct Span<'a> {
    start: &'a str,
    end: &'a str,
}

impl FailureRecord {
    /// The body for a queue, and the message for a topic (ESM-47).
    pub fn document(&self) -> String {
        self.written(None)
    }

    /// The content of an object: the document with the event as a JSON **string** in `payload` (ESM-48).
    pub fn object(&self) -> String {
        self.written(Some(str::from_utf8(&self.payload).unwrap_or_default()))
    }

    /// The key of that object: `aws/lambda/<mapping>/<shard>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<random>`.
    pub fn object_key(&self) -> String {
        let time = time::in_seconds(self.time).replace(':', ".");
        let (time, day) = (time.trim_end_matches('Z'), time[..10].replace('-', "/"));
        format!("aws/lambda/{}/{}/{day}/{time}-{}", self.mapping, self.shard, random_uuid())
    }

    fn written(&self, payload: Option<&str>) -> String {
        let document = Document {
            request_context: RequestContext {
                request_id: &self.request_id,
                function_arn: &self.function_arn,
                condition: self.condition,
                approximate_invoke_count: self.invoke_count,
            },
            response_context: self.response.as_ref(),
            version: "1.0",
            timestamp: time::in_millis(self.time),
            batch: BatchInfo {
                shard_id: &self.shard,
                records: self.records.as_ref().map(RangeInfo::of),
                stream_arn: &self.stream_arn,
            },
            time_window_info: self.window.as_ref().map(WindowInfo::of),
            payload,
        };
        serde_json::to_string(&document).expect("texts and numbers are JSON")
    }
}

impl<'a> RangeInfo<'a> {
    fn of(range: &'a RecordRange) -> Self {
        Self {
            start_sequence_number: range.first.as_str(),
            end_sequence_number: range.last.as_str(),
            approximate_arrival_of_first_record: time::in_seconds(range.first_at),
            approximate_arrival_of_last_record: time::in_seconds(range.last_at),
            batch_size: range.count,
        }
    }
}

impl<'a> WindowInfo<'a> {
    fn of(window: &'a TumblingWindow) -> Self {
        Self {
            window: Span { start: &window.start, end: &window.end },
            is_final_invoke_for_window: window.is_final,
            is_window_terminated_early: window.is_terminated_early,
        }
    }
}

/// A random UUID of version 4: for names that must not meet, not for secrets.
pub(crate) fn random_uuid() -> String {
    let random = || RandomState::new().hash_one(0);
    let (high, low) = (random() & !0xF000 | 0x4000, random() >> 2 | 1 << 63);
    let hex = format!("{high:016x}{low:016x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_are_uuids_and_differ() {
        let (one, two) = (random_uuid(), random_uuid());
        assert_ne!(one, two);
        assert_eq!(one.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!(&one[14..15], "4");
        assert!("89ab".contains(&one[19..20]), "{one}");
    }
}
