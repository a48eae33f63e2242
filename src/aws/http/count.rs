//! What goes over the wire, counted: also what the SDK tries again without telling.

use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use memchr::memmem;
use metrics::counter;

/// A connector whose requests and refusals are counted.
#[derive(Debug)]
pub(super) struct Counting(pub(super) SharedHttpConnector);

impl HttpConnector for Counting {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        HttpConnectorFuture::new(counted(answer))
    }
}

async fn counted(answer: HttpConnectorFuture) -> Result<HttpResponse, ConnectorError> {
    counter!("SinkRequests").increment(1);
    let unanswered = Unanswered;
    let answer = answer.await?;
    let answer = if answer.status().is_success() { answer } else { refused(answer).await? };
    std::mem::forget(unanswered);
    Ok(answer)
}

/// Counts a failure when it is dropped: the request failed on its way, or whoever waited for it has given up.
struct Unanswered;

impl Drop for Unanswered {
    fn drop(&mut self) {
        counter!("SinkFailures").increment(1);
    }
}

/// Errors are short: their body is read here, and handed on as it was.
async fn refused(mut answer: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    let body = ByteStream::new(std::mem::replace(answer.body_mut(), SdkBody::taken())).collect().await;
    let body = body.map_err(|error| ConnectorError::io(error.into()))?.into_bytes();
    match Refusal::of(&body) {
        Refusal::Throttled => counter!("SinkThrottles").increment(1),
        Refusal::Conflict => counter!("SinkConflicts").increment(1),
        Refusal::Condition => {}
        Refusal::Other => counter!("SinkFailures").increment(1),
    }
    *answer.body_mut() = SdkBody::from(body);
    Ok(answer)
}

/// What an error answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Throttled,
    Conflict,
    /// A condition did not hold: how guards and ledgers find out, and no failure.
    Condition,
    Other,
}

/// Codes as the JSON and the query protocols write them, between quotes, `#` and angle brackets. The reasons of a cancelled
/// transaction are codes as well, and count more than the cancellation.
const CODES: [(Refusal, &[&str]); 3] = [
    (
        Refusal::Throttled,
        &[
            "ProvisionedThroughputExceededException",
            "ProvisionedThroughputExceeded",
            "RequestLimitExceeded",
            "ThrottlingException",
            "ThrottlingError",
            "ThrottledException",
            "Throttling",
            "Throttled",
            "RequestThrottled",
            "KmsThrottled",
            "KMSThrottling",
        ],
    ),
    (Refusal::Conflict, &["TransactionConflictException", "TransactionConflict", "TransactionInProgressException"]),
    (Refusal::Condition, &["ConditionalCheckFailedException", "ConditionalCheckFailed"]),
];

impl Refusal {
    fn of(body: &[u8]) -> Self {
        let says = |codes: &[&str]| codes.iter().any(|code| is_code(body, code.as_bytes()));
        CODES.iter().find(|(_, codes)| says(codes)).map_or(Self::Other, |(refusal, _)| *refusal)
    }
}

/// Whether the code stands there as one, and not as a word of a message.
fn is_code(body: &[u8], code: &[u8]) -> bool {
    memmem::find_iter(body, code).any(|at| {
        let before = at.checked_sub(1).and_then(|at| body.get(at));
        let after = body.get(at + code.len());
        matches!(before, Some(b'"' | b'#' | b'>')) && matches!(after, Some(b'"' | b'<' | b':'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart_by_their_code() {
        let cases = [
            (
                r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}"#,
                Refusal::Throttled,
            ),
            (
                r#"{"__type":"com.amazon.coral.availability#ThrottlingException","Message":"slow down"}"#,
                Refusal::Throttled,
            ),
            ("<ErrorResponse><Error><Code>Throttled</Code></Error></ErrorResponse>", Refusal::Throttled),
            (
                r#"{"__type":"x#TransactionCanceledException","CancellationReasons":[{"Code":"None"},{"Code":"TransactionConflict"}]}"#,
                Refusal::Conflict,
            ),
            (
                r#"{"__type":"x#TransactionCanceledException","CancellationReasons":[{"Code":"ConditionalCheckFailed"}]}"#,
                Refusal::Condition,
            ),
            (r#"{"__type":"x#ConditionalCheckFailedException"}"#, Refusal::Condition),
            (r#"{"__type":"x#ValidationException","message":"Throttled is no attribute"}"#, Refusal::Other),
            ("", Refusal::Other),
        ];
        for (body, refusal) in cases {
            assert_eq!(Refusal::of(body.as_bytes()), refusal, "{body}");
        }
    }
}
