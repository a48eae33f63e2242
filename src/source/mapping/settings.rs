//! What a mapping is told to do.

use std::time::Duration;

use crate::pattern::FilterCriteria;

/// The largest event that Lambda hands to a function.
pub const PAYLOAD_LIMIT: usize = 6 * 1024 * 1024;

/// The settings of a mapping, with AWS's defaults.
///
/// ```
/// use anabranch::source::mapping::Settings;
///
/// let mut settings = Settings::new("arn:aws:lambda:eu-west-1:123456789012:function:replicate");
/// settings.batch_size = 500;
/// settings.report_item_failures = true;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The ARN of the function, as failure documents name it.
    pub function_arn: String,
    /// The id of the mapping, which is part of the keys of failure documents in S3.
    pub uuid: String,
    /// Where shards begin that have no checkpoint: the oldest record.
    pub starting_position: StartingPosition,
    /// Which records the function is to see: all unless set. What is declined advances the position and nothing else
    /// (ESM-25); a record that cannot be read is never declined.
    pub filter_criteria: FilterCriteria,
    /// The most records of a batch: 1 to 10,000, 100 unless set.
    pub batch_size: usize,
    /// How long to gather records: 0 to 300 seconds, 0 unless set.
    pub batching_window: Duration,
    /// How many batches of a shard are worked on side by side: 1 to 10, 1 unless set.
    pub parallelization_factor: usize,
    /// How often a failed batch is tried again: 0 to 10,000, or until it expires, which is the default.
    pub maximum_retry_attempts: Option<u32>,
    /// When a record is given up on: 60 seconds to 7 days, or never but for the stream's retention, which is the default.
    pub maximum_record_age: Option<Duration>,
    /// Whether a batch that fails is tried again in halves.
    pub bisect_batch_on_function_error: bool,
    /// The length of tumbling windows, in whole seconds up to 900.
    pub tumbling_window: Option<Duration>,
    /// Whether the function's answer names records that failed (`ReportBatchItemFailures`).
    pub report_item_failures: bool,
    /// Whether discarded records are reported to a destination.
    pub failure_destination: bool,
    /// What to do if records were trimmed before they were read.
    pub trimmed: TrimPolicy,
    /// How long to wait after an empty page: 250 ms, as Lambda does (ESM-28).
    pub poll_interval: Duration,
    /// How often shards are listed: every 60 seconds.
    pub discovery_interval: Duration,
    /// How long records are kept by the stream: 24 hours.
    pub retention: Duration,
    /// Closes a tumbling window so long after its end even if no record of a later one came. AWS was not seen to do
    /// that (ESM-53), so not unless set.
    pub idle_window_close: Option<Duration>,
}

impl Settings {
    /// AWS's defaults, from the oldest record on.
    pub fn new(function_arn: impl Into<String>) -> Self {
        Self {
            function_arn: function_arn.into(),
            uuid: "00000000-0000-4000-8000-000000000000".to_owned(),
            starting_position: StartingPosition::TrimHorizon,
            filter_criteria: FilterCriteria::default(),
            batch_size: 100,
            batching_window: Duration::ZERO,
            parallelization_factor: 1,
            maximum_retry_attempts: None,
            maximum_record_age: None,
            bisect_batch_on_function_error: false,
            tumbling_window: None,
            report_item_failures: false,
            failure_destination: false,
            trimmed: TrimPolicy::Fail,
            poll_interval: Duration::from_millis(250),
            discovery_interval: Duration::from_secs(60),
            retention: Duration::from_secs(24 * 60 * 60),
            idle_window_close: None,
        }
    }

    /// How old a record may get.
    pub(super) fn lifetime(&self) -> Duration {
        self.maximum_record_age.map_or(self.retention, |age| age.min(self.retention))
    }
}

/// Where shards begin that have no checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StartingPosition {
    /// At the oldest record.
    TrimHorizon,
    /// Behind the newest record.
    Latest,
}

/// What to do if records were trimmed before they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrimPolicy {
    /// Stop, now and at every later start: somebody has to decide how the gap is mended, and accept it by a run that continues.
    Fail,
    /// Report the gap and go on at the oldest record. From then on it is accepted.
    Continue,
}
