//! A function behind the Lambda invoke API of a tool on this machine.

use std::{sync::Arc, time::Duration};

use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnectorSettings;
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use serde_json::Value;

use super::call::{self, reason};
use crate::source::mapping::{Answer, BoxError, Target};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// What a tool may take beyond the function's own time, to compile it for example.
const PATIENCE: Duration = Duration::from_secs(600);

/// A function that `cargo lambda watch`, the runtime interface emulator or the like serves over plain HTTP.
///
/// Such tools answer a function's error with a status of their own: 500 from `cargo lambda watch`, 408 after a timeout,
/// 502 from the emulator when the process exits, or 200 with the error as its body. All are failures of the function here.
/// That the function is not there (404), is busy (429), or cannot be reached is none, and counts as no attempt.
#[derive(Clone)]
pub struct LocalFunction {
    url: Arc<str>,
    connector: Arc<Connector>,
}

/// Why a function cannot be called at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvokeError {
    /// A tool on this machine, or its network, speaks plain HTTP.
    #[error("`{url}` is no http:// address")]
    NotHttp {
        /// What was given.
        url: String,
    },
    /// The configuration says no region.
    #[error("the AWS configuration has no region; set AWS_REGION")]
    NoRegion,
    /// The configuration has no credentials.
    #[error("the AWS configuration has no credentials provider")]
    NoCredentials,
}

impl LocalFunction {
    /// The function of a name behind an endpoint, such as `http://127.0.0.1:9000`.
    ///
    /// # Errors
    /// The endpoint is no `http://` address.
    pub fn at(endpoint: &str, name: &str) -> Result<Self, InvokeError> {
        if !endpoint.starts_with("http://") {
            return Err(InvokeError::NotHttp { url: endpoint.to_owned() });
        }
        let url = format!("{}{}", endpoint.trim_end_matches('/'), call::path(name));
        let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(PATIENCE).build();
        let connector = Connector::builder().connector_settings(settings).build_http();
        Ok(Self { url: url.into(), connector: Arc::new(connector) })
    }

    /// Where it is invoked.
    pub fn url(&self) -> &str {
        &self.url
    }

    async fn call(&self, event: Bytes) -> Result<Answer, BoxError> {
        let invoked = call::post(&self.connector, &self.url, event, Vec::new()).await?;
        Ok(invoked.answer(|invoked| answer(invoked.status, invoked.raised, invoked.body.clone())))
    }
}

/// What an answer of such a tool means.
fn answer(status: u16, raised: bool, body: Bytes) -> Answer {
    match status {
        200..300 if raised || is_error(&body) => Answer::failed(reason(&body)),
        200..300 => Answer::returned(body),
        404 | 429 | 503 | 504 => Answer::not_run(format!("HTTP status {status}")),
        408 => Answer::failed("the function timed out"),
        _ => Answer::failed(format!("HTTP status {status}: {}", reason(&body))),
    }
}

/// The runtime interface emulator answers 200 and tells of the error in the body only.
fn is_error(body: &[u8]) -> bool {
    let value: Option<Value> = serde_json::from_slice(body).ok();
    value.is_some_and(|value| value.get("errorType").is_some() && value.get("errorMessage").is_some())
        || body.windows(20).take(200).any(|text| text == b"Task timed out after")
}

impl Target for LocalFunction {
    fn invoke(&self, event: Bytes) -> BoxFuture<'_, Answer> {
        async move { self.call(event).await.unwrap_or_else(|error| Answer::not_run(error.to_string())) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::mapping::Answered;

    #[test]
    fn what_tools_answer_is_told_apart() {
        let of =
            |status, raised, body: &'static str| answer(status, raised, Bytes::from_static(body.as_bytes())).result;
        let failed = |answered| matches!(answered, Answered::Failed { .. });
        let not_run = |answered| matches!(answered, Answered::NotRun { .. });
        assert_eq!(of(200, false, "{}"), Answered::Returned("{}".into()));
        assert!(failed(of(200, true, "{}")), "AWS");
        assert!(failed(of(200, false, r#"{"errorType":"X","errorMessage":"y"}"#)), "the emulator");
        assert!(failed(of(200, false, "2026-11-21T02:40:00Z Task timed out after 3.00 seconds")), "the emulator");
        assert!(failed(of(500, false, r#"{"errorType":"X","errorMessage":"y"}"#)), "cargo lambda watch");
        assert!(failed(of(408, false, "")) && failed(of(502, false, "")));
        assert!(not_run(of(404, false, "")) && not_run(of(429, false, "")));
    }

    #[test]
    fn only_plain_http_is_spoken() {
        let refused = LocalFunction::at("https://lambda.eu-west-1.amazonaws.com", "f").err();
        assert!(matches!(refused, Some(InvokeError::NotHttp { .. })));
        let function = LocalFunction::at("http://127.0.0.1:9000/", "replicate").unwrap();
        assert_eq!(function.url(), "http://127.0.0.1:9000/2015-03-31/functions/replicate/invocations");
    }
}
