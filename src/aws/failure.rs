//! What AWS said when a call failed.

use std::{error::Error, fmt};

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// What is known of a failed AWS call: code, message and request id, never just "service error".
///
/// AWS's own messages name attributes, not what is in them; the three that quote values are kept without them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AwsFailure {
    /// The HTTP status, if an answer came.
    pub status: Option<u16>,
    /// The service's error code, such as `ThrottlingException`.
    pub code: Option<String>,
    /// The service's message, or what went wrong on the way to it.
    pub message: String,
    /// The id that AWS support asks for.
    pub request_id: Option<String>,
}

impl AwsFailure {
    /// The facts of an SDK error.
    pub fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let answer = error.raw_response();
        let header = |name| answer.and_then(|answer| answer.headers().get(name));
        Self {
            status: answer.map(|answer| answer.status().as_u16()),
            code: error.code().map(str::to_owned),
            message: match error.message() {
                Some(message) => without_values(message),
                None => chain(error),
            },
            request_id: header("x-amzn-requestid").or_else(|| header("x-amz-request-id")).map(str::to_owned),
        }
    }

    /// What kind of failure it is, as far as its code says.
    #[cfg(feature = "dynamodb")]
    pub(crate) fn kind(&self) -> FailureKind {
        FailureKind::of(self.code.as_deref().unwrap_or_default())
    }

    /// A failure on this side of the wire.
    #[cfg(feature = "dynamodb")]
    pub(crate) fn without_answer(message: &str) -> Self {
        Self { status: None, code: None, message: message.to_owned(), request_id: None }
    }

    /// One entry's failure within an answer that was a success as a whole.
    #[cfg(any(feature = "dynamodb", feature = "sqs", feature = "sns"))]
    pub(crate) fn of_entry(code: &str, message: Option<&str>) -> Self {
        Self {
            status: None,
            code: Some(code.to_owned()),
            message: without_values(message.unwrap_or("no message")),
            request_id: None,
        }
    }
}

/// What DynamoDB's error codes have in common.
#[cfg(feature = "dynamodb")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// Too much is asked for at once.
    Throttled,
    /// The credentials are missing, expired, or do not allow the action.
    Denied,
    /// There is no such table or index.
    Missing,
    /// The request itself is wrong.
    Invalid,
    /// Anything else: it may pass.
    Other,
}

#[cfg(feature = "dynamodb")]
impl FailureKind {
    /// What a code means.
    pub(crate) fn of(code: &str) -> Self {
        match code {
            "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "ThrottlingException"
            | "ThrottledException"
            | "LimitExceededException" => Self::Throttled,
            "AccessDeniedException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "MissingAuthenticationTokenException"
            | "ExpiredTokenException" => Self::Denied,
            "ResourceNotFoundException" => Self::Missing,
            "ValidationException" => Self::Invalid,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for AwsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, self.status) {
            (Some(code), _) => write!(f, "{code}: ")?,
            (None, Some(status)) => write!(f, "HTTP status {status}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.message)?;
        match &self.request_id {
            Some(id) => write!(f, " (request id {id})"),
            None => Ok(()),
        }
    }
}

impl Error for AwsFailure {}

/// A message without the values that it quotes.
///
/// All services say `Value '..' at 'name' failed to satisfy constraint: ..`, where the value may be whole items, and
/// DynamoDB quotes what it cannot read as a number, and sets in which something is twice.
pub(crate) fn without_values(message: &str) -> String {
    const VALUE: &str = "Value '";
    const NAME: &str = "' at '";
    const NUMBER: &str = "cannot be converted to a numeric value";
    const SET: &str = "Input collection [";
    let message = message.find(NUMBER).map_or(message, |at| &message[..at + NUMBER.len()]);
    if let (Some(from), Some(to)) = (message.find(SET), message.rfind(']')) {
        return format!("{}{}", &message[..from + SET.len()], &message[to.max(from + SET.len())..]);
    }
    match (message.find(VALUE), message.rfind(NAME)) {
        // From the first value to the last name: a value may itself look like a name.
        (Some(from), Some(to)) if from < to => format!("{}Value{}", &message[..from], &message[to + 1..]),
        _ => message.to_owned(),
    }
}

/// An error and its causes in one line, each said once.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_as_one_line() {
        let mut failure = AwsFailure {
            status: Some(400),
            code: Some("ThrottlingException".into()),
            message: "rate exceeded".into(),
            request_id: Some("R1".into()),
        };
        assert_eq!(failure.to_string(), "ThrottlingException: rate exceeded (request id R1)");
        failure.code = None;
        failure.request_id = None;
        assert_eq!(failure.to_string(), "HTTP status 400: rate exceeded");
    }

    #[test]
    fn values_are_not_quoted() {
        let cases = [
            (
                "1 validation error detected: Value '[{PK=secret}]' at 'transactItems' failed to satisfy constraint: too long",
                "1 validation error detected: Value at 'transactItems' failed to satisfy constraint: too long",
            ),
            (
                "2 validation errors detected: Value 'a' at 'b' failed; Value 'its' at 'c' failed",
                "2 validation errors detected: Value at 'c' failed",
            ),
            (
                "The parameter cannot be converted to a numeric value: secret",
                "The parameter cannot be converted to a numeric value",
            ),
            (
                "One or more parameter values were invalid: Input collection [a]b, a]b] contains duplicates.",
                "One or more parameter values were invalid: Input collection [] contains duplicates.",
            ),
            ("Type mismatch for key PK expected: S actual: N", "Type mismatch for key PK expected: S actual: N"),
        ];
        for (said, kept) in cases {
            assert_eq!(without_values(said), kept);
        }
    }

    #[test]
    fn causes_are_said_once() {
        let inner = std::io::Error::other("refused");
        let outer = std::io::Error::other(inner);
        assert_eq!(chain(&outer), "refused");
    }
}
