//! What an error of SNS means for a message: the one place that says.

use std::sync::Arc;

use aws_sdk_sns::types::BatchResultErrorEntry;

use crate::{aws::AwsFailure, sink::publisher::PublishError};

/// A request that failed as a whole.
pub(super) fn of_request(topic: &Arc<str>, failure: AwsFailure) -> PublishError {
    classify(topic, failure, false)
}

/// An entry that failed within a request that was accepted.
pub(super) fn of_entry(topic: &Arc<str>, entry: &BatchResultErrorEntry) -> PublishError {
    classify(topic, AwsFailure::of_entry(entry.code(), entry.message()), entry.sender_fault())
}

fn is_refusal(code: &str) -> bool {
    matches!(
        code,
        "InvalidParameter"
            | "InvalidParameterException"
            | "InvalidParameterValue"
            | "ParameterValueInvalid"
            | "ValidationException"
            | "ValidationError"
            | "BatchRequestTooLong"
    )
}

/// Only what the service says of the message itself is a reject; what is not known may pass.
fn classify(topic: &Arc<str>, failure: AwsFailure, sender_fault: bool) -> PublishError {
    let (topic, code) = (Arc::clone(topic), failure.code.clone().unwrap_or_default());
    // A refusal that names the topic is about the topic, not about what is sent there.
    let names_topic = failure.message.contains("TopicArn");
    let source = Arc::new(failure);
    match code.as_str() {
        "NotFound" | "NotFoundException" => PublishError::NoSuchTopic { topic, source },
        "AuthorizationError"
        | "AuthorizationErrorException"
        | "AccessDenied"
        | "AccessDeniedException"
        | "InvalidClientTokenId"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationToken"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidSecurity"
        | "KMSAccessDenied"
        | "KMSDisabled"
        | "KMSInvalidState"
        | "KMSNotFound"
        | "KMSOptInRequired" => PublishError::Denied { topic, source },
        "Throttling" | "ThrottlingException" | "Throttled" | "ThrottledException" | "KMSThrottling" => {
            PublishError::Throttled { topic, source }
        }
        code if is_refusal(code) && names_topic => PublishError::NoSuchTopic { topic, source },
        code if is_refusal(code) || sender_fault => PublishError::Refused { topic, source },
        _ => PublishError::Failed { topic, source },
    }
}
