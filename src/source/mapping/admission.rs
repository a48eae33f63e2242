//! The mapping API: what AWS accepts as a mapping, what it refuses, and in which words.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Settings, StartingPosition, failure::random_uuid};
use crate::pattern::{FilterCriteria, FilterError};

/// A mapping as it is asked for: the request of `CreateEventSourceMapping`. What it does not say has AWS's default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Request {
    /// The stream.
    pub event_source_arn: Option<String>,
    /// The function's name or ARN, with its alias.
    pub function_name: String,
    /// `TRIM_HORIZON` or `LATEST`.
    pub starting_position: Option<String>,
    /// 1 to 10,000; 100 unless set.
    pub batch_size: Option<i64>,
    /// 0 to 300; 0 unless set.
    pub maximum_batching_window_in_seconds: Option<i64>,
    /// 1 to 10; 1 unless set.
    pub parallelization_factor: Option<i64>,
    /// −1 to 10,000; −1, until records expire, unless set.
    pub maximum_retry_attempts: Option<i64>,
    /// −1, or 60 to 604,800; −1 unless set.
    pub maximum_record_age_in_seconds: Option<i64>,
    /// Whether failed batches are split.
    pub bisect_batch_on_function_error: Option<bool>,
    /// 0 to 900; 0 unless set.
    pub tumbling_window_in_seconds: Option<i64>,
    /// At most `ReportBatchItemFailures`.
    pub function_response_types: Vec<String>,
    /// Filter patterns.
    pub filter_criteria: Filters,
    /// Where failures go.
    pub destination_config: Destinations,
    /// Whether it works at once.
    pub enabled: Option<bool>,
}

/// The filters of a mapping.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Filters {
    /// One of them has to match.
    pub filters: Vec<FilterText>,
}

/// One filter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FilterText {
    /// A pattern as JSON.
    pub pattern: String,
}

/// The destinations of a mapping.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Destinations {
    /// For what is given up on.
    pub on_failure: OnFailure,
    /// Not for streams.
    #[serde(skip_serializing)]
    pub on_success: Option<serde_json::Value>,
}

/// The failure destination.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct OnFailure {
    /// The ARN of a queue, a topic or a bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
}

/// A mapping as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Description {
    /// Its id.
    #[serde(rename = "UUID")]
    pub uuid: String,
    /// The stream.
    pub event_source_arn: String,
    /// The function.
    pub function_arn: String,
    /// Where it begins.
    pub starting_position: String,
    /// `Creating`, `Enabled`, `Disabling`, `Disabled`, `Enabling`, `Updating` or `Deleting`.
    pub state: &'static str,
    /// Who changed it last.
    pub state_transition_reason: &'static str,
    /// How the last invocation went.
    pub last_processing_result: String,
    /// Records of a batch.
    pub batch_size: i64,
    /// Whether failed batches are split.
    pub bisect_batch_on_function_error: bool,
    /// Where failures go.
    pub destination_config: Destinations,
    /// The filters; absent if there are none (ESM-3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_criteria: Option<Filters>,
    /// `ReportBatchItemFailures`, or nothing.
    pub function_response_types: Vec<String>,
    /// In seconds.
    pub maximum_batching_window_in_seconds: i64,
    /// In seconds; −1 is for ever.
    pub maximum_record_age_in_seconds: i64,
    /// −1 is for ever.
    pub maximum_retry_attempts: i64,
    /// Batches of a shard side by side.
    pub parallelization_factor: i64,
    /// In seconds.
    pub tumbling_window_in_seconds: i64,
}

/// Why a mapping is refused: AWS's error code, and its message where it is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AdmissionError {
    /// The HTTP status.
    pub status: u16,
    /// Such as `InvalidParameterValueException`.
    pub code: &'static str,
    /// The message.
    pub message: String,
}

impl AdmissionError {
    fn invalid(message: impl Into<String>) -> Self {
        Self { status: 400, code: "InvalidParameterValueException", message: message.into() }
    }

    fn constraint(code: &'static str, value: &str, name: &str, constraint: &str) -> Self {
        let message = format!(
            "1 validation error detected: Value {value} at '{name}' failed to satisfy constraint: Member must {constraint}"
        );
        Self { status: 400, code, message }
    }

    fn missing(message: &str) -> Self {
        Self { status: 404, code: "ResourceNotFoundException", message: message.to_owned() }
    }
}

/// The mappings of an account, without AWS: what is admitted, and under which id.
///
/// ```
/// use anabranch::source::mapping::{Admission, Request};
///
/// let stream = "arn:aws:dynamodb:eu-west-1:123456789012:table/Pets/stream/2026-11-21T02:40:00.000";
/// let mut account = Admission::default().stream(stream).function("arn:aws:lambda:eu-west-1:123456789012:function:f");
/// let request = Request {
///     event_source_arn: Some(stream.into()),
///     function_name: "f".into(),
///     starting_position: Some("TRIM_HORIZON".into()),
///     ..Request::default()
/// };
/// let mapping = account.create(&request)?;
/// assert_eq!((mapping.state, mapping.batch_size), ("Creating", 100));
/// assert_eq!(account.create(&request).unwrap_err().status, 409);
/// # Ok::<(), anabranch::source::mapping::AdmissionError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Admission {
    streams: BTreeSet<String>,
    functions: BTreeSet<String>,
    mappings: BTreeMap<String, Description>,
}

impl Admission {
    /// With a stream.
    #[must_use]
    pub fn stream(mut self, arn: impl Into<String>) -> Self {
        self.streams.insert(arn.into());
        self
    }

    /// With a function, by its ARN.
    #[must_use]
    pub fn function(mut self, arn: impl Into<String>) -> Self {
        self.functions.insert(arn.into());
        self
    }

    /// Admits a mapping.
    ///
    /// # Errors
    /// What AWS refuses (ESM-6 to 11, ESM-55a), and what is out of range.
    pub fn create(&mut self, request: &Request) -> Result<Description, AdmissionError> {
        let stream = request.event_source_arn.as_deref();
        let stream = stream.ok_or_else(|| AdmissionError::invalid("Unrecognized event source."))?;
        starting_position(request.starting_position.as_deref(), stream)?;
        ranges(request)?;
        filters(request)?;
        if request.destination_config.on_success.is_some() {
            let message = "Unsupported DestinationConfig parameter for given event source mapping type.";
            return Err(AdmissionError::invalid(message));
        }
        let function = self.function_arn(&request.function_name)?;
        if !self.streams.contains(stream) {
            return Err(AdmissionError::invalid(format!("Stream not found: {stream}")));
        }
        self.refuse_twins(stream, &function)?;
        let description = describe(request, stream, function);
        self.mappings.insert(description.uuid.clone(), description.clone());
        Ok(description)
    }

    /// Switches a mapping on or off (ESM-3).
    ///
    /// # Errors
    /// There is none of that id.
    pub fn enable(&mut self, uuid: &str, enabled: bool) -> Result<Description, AdmissionError> {
        let mapping = self.mappings.get_mut(uuid).ok_or_else(unknown)?;
        mapping.state = if enabled { "Enabled" } else { "Disabled" };
        Ok(Description { state: if enabled { "Enabling" } else { "Disabling" }, ..mapping.clone() })
    }

    /// Deletes a mapping (ESM-3).
    ///
    /// # Errors
    /// There is none of that id.
    pub fn delete(&mut self, uuid: &str) -> Result<Description, AdmissionError> {
        let mapping = self.mappings.remove(uuid).ok_or_else(unknown)?;
        Ok(Description { state: "Deleting", ..mapping })
    }

    /// Shows a mapping.
    ///
    /// # Errors
    /// There is none of that id.
    pub fn get(&self, uuid: &str) -> Result<&Description, AdmissionError> {
        self.mappings.get(uuid).ok_or_else(unknown)
    }

    /// The ARN of a function that is given by its ARN or its name, with the qualifier that it is given with.
    fn function_arn(&self, name: &str) -> Result<String, AdmissionError> {
        let known =
            |arn: &&String| **arn == name || arn.rsplit_once(":function:").is_some_and(|(_, last)| last == name);
        let found = self.functions.iter().find(known);
        found.cloned().ok_or_else(|| AdmissionError::missing("Function does not exist"))
    }

    fn refuse_twins(&self, stream: &str, function: &str) -> Result<(), AdmissionError> {
        let same = |it: &&Description| it.event_source_arn == stream && it.function_arn == function;
        let Some(twin) = self.mappings.values().find(same) else { return Ok(()) };
        let message = format!(
            "The event source arn (\" {stream} \") and function (\" {function} \") provided mapping already exists. \
             Please update or delete the existing mapping with UUID {}",
            twin.uuid
        );
        Err(AdmissionError { status: 409, code: "ResourceConflictException", message })
    }
}

fn unknown() -> AdmissionError {
    AdmissionError::missing("The resource you requested does not exist.")
}

fn starting_position(position: Option<&str>, stream: &str) -> Result<(), AdmissionError> {
    let name = "startingPosition";
    match position {
        Some("TRIM_HORIZON" | "LATEST") => Ok(()),
        Some("AT_TIMESTAMP") => {
            Err(AdmissionError::invalid(format!("Unsupported starting position for arn type: {stream}")))
        }
        Some(other) => {
            let allowed = "satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]";
            Err(AdmissionError::constraint("ValidationException", &format!("'{other}'"), name, allowed))
        }
        None => Err(AdmissionError::constraint("InvalidParameterValueException", "null", name, "not be null.")),
    }
}

/// The ranges of all numbers, and what does not go together.
fn ranges(request: &Request) -> Result<(), AdmissionError> {
    let numbers = [
        ("batchSize", request.batch_size, 1, 10_000),
        ("maximumBatchingWindowInSeconds", request.maximum_batching_window_in_seconds, 0, 300),
        ("parallelizationFactor", request.parallelization_factor, 1, 10),
        ("maximumRetryAttempts", request.maximum_retry_attempts, -1, 10_000),
        ("maximumRecordAgeInSeconds", request.maximum_record_age_in_seconds, -1, 604_800),
        ("tumblingWindowInSeconds", request.tumbling_window_in_seconds, 0, 900),
    ];
    for (name, value, least, most) in numbers {
        let Some(value) = value else { continue };
        let refuse = |constraint: String| {
            Err(AdmissionError::constraint("ValidationException", &format!("'{value}'"), name, &constraint))
        };
        if value < least {
            return refuse(format!("have value greater than or equal to {least}"));
        }
        if value > most {
            return refuse(format!("have value less than or equal to {most}"));
        }
    }
    if matches!(request.maximum_record_age_in_seconds, Some(0..60)) {
        return Err(AdmissionError::invalid("MaximumRecordAgeInSeconds must be -1, or at least 60."));
    }
    if request.function_response_types.iter().any(|kind| kind != "ReportBatchItemFailures") {
        let value = format!("'{:?}'", request.function_response_types);
        let allowed = "satisfy enum value set: [ReportBatchItemFailures]";
        return Err(AdmissionError::constraint("ValidationException", &value, "functionResponseTypes", allowed));
    }
    tumbling(request)
}

/// A tumbling window stands neither beside lanes nor beside filters (ESM-55a).
fn tumbling(request: &Request) -> Result<(), AdmissionError> {
    if request.tumbling_window_in_seconds.unwrap_or(0) == 0 {
        return Ok(());
    }
    if request.parallelization_factor.unwrap_or(1) > 1 {
        return Err(AdmissionError::invalid("A tumbling window needs a ParallelizationFactor of 1."));
    }
    if !request.filter_criteria.filters.is_empty() {
        return Err(AdmissionError::invalid("A tumbling window cannot have FilterCriteria."));
    }
    Ok(())
}

fn filters(request: &Request) -> Result<FilterCriteria, AdmissionError> {
    let patterns = request.filter_criteria.filters.iter().map(|filter| &filter.pattern);
    FilterCriteria::parse_with_limit(patterns, FilterCriteria::RAISED_LIMIT).map_err(|error| match error {
        FilterError::Pattern { source, .. } => AdmissionError::invalid(source.aws_message()),
        error => AdmissionError::invalid(error.to_string()),
    })
}

fn describe(request: &Request, stream: &str, function_arn: String) -> Description {
    let filters = &request.filter_criteria;
    Description {
        uuid: random_uuid(),
        event_source_arn: stream.to_owned(),
        function_arn,
        starting_position: request.starting_position.clone().unwrap_or_default(),
        state: "Creating",
        state_transition_reason: "User action",
        last_processing_result: "No records processed".to_owned(),
        batch_size: request.batch_size.unwrap_or(100),
        bisect_batch_on_function_error: request.bisect_batch_on_function_error.unwrap_or(false),
        destination_config: request.destination_config.clone(),
        filter_criteria: (!filters.filters.is_empty()).then(|| filters.clone()),
        function_response_types: request.function_response_types.clone(),
        maximum_batching_window_in_seconds: request.maximum_batching_window_in_seconds.unwrap_or(0),
        maximum_record_age_in_seconds: request.maximum_record_age_in_seconds.unwrap_or(-1),
        maximum_retry_attempts: request.maximum_retry_attempts.unwrap_or(-1),
        parallelization_factor: request.parallelization_factor.unwrap_or(1),
        tumbling_window_in_seconds: request.tumbling_window_in_seconds.unwrap_or(0),
    }
}

impl Description {
    /// The settings of a mapping that was admitted.
    pub fn settings(&self) -> Settings {
        let seconds = |value: i64| Duration::from_secs(value.unsigned_abs());
        let patterns = self.filter_criteria.iter().flat_map(|it| &it.filters).map(|filter| &filter.pattern);
        let filter_criteria = FilterCriteria::parse_with_limit(patterns, FilterCriteria::RAISED_LIMIT);
        let mut settings = Settings::new(&self.function_arn);
        settings.uuid.clone_from(&self.uuid);
        settings.starting_position = match &*self.starting_position {
            "LATEST" => StartingPosition::Latest,
            _ => StartingPosition::TrimHorizon,
        };
        settings.filter_criteria = filter_criteria.expect("an admitted mapping has patterns that can be read");
        settings.batch_size = usize::try_from(self.batch_size).unwrap_or(1);
        settings.batching_window = seconds(self.maximum_batching_window_in_seconds);
        settings.parallelization_factor = usize::try_from(self.parallelization_factor).unwrap_or(1);
        settings.maximum_retry_attempts = u32::try_from(self.maximum_retry_attempts).ok();
        settings.maximum_record_age =
            (self.maximum_record_age_in_seconds > 0).then(|| seconds(self.maximum_record_age_in_seconds));
        settings.bisect_batch_on_function_error = self.bisect_batch_on_function_error;
        settings.tumbling_window =
            (self.tumbling_window_in_seconds > 0).then(|| seconds(self.tumbling_window_in_seconds));
        settings.report_item_failures = !self.function_response_types.is_empty();
        settings.failure_destination = self.destination_config.on_failure.destination.is_some();
        settings
    }
}
