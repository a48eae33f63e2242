//! One call of the Lambda invoke API, wherever it is.

use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::{
    http::HttpConnector,
    orchestrator::{HttpRequest, HttpResponse},
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use bytes::Bytes;
use serde_json::Value;

use crate::source::mapping::{Answer, BoxError};

/// What the API answered.
#[derive(Debug)]
pub(super) struct Invoked {
    pub(super) status: u16,
    /// Whether a header says that the function failed.
    pub(super) raised: bool,
    /// Why the service refused.
    pub(super) error_type: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) version: Option<String>,
    pub(super) body: Bytes,
}

/// Where a function of this name is.
pub(super) fn path(name: &str) -> String {
    format!("/2015-03-31/functions/{name}/invocations")
}

/// Invokes with an event.
pub(super) async fn post(
    connector: &Connector,
    url: &str,
    event: Bytes,
    headers: Vec<(String, String)>,
) -> Result<Invoked, BoxError> {
    let mut request = HttpRequest::new(SdkBody::from(event));
    request.set_method("POST")?;
    request.set_uri(url.to_owned())?;
    request.headers_mut().insert("content-type", "application/json");
    for (name, value) in headers {
        request.headers_mut().insert(name, value);
    }
    Invoked::read(connector.call(request).await?).await
}

impl Invoked {
    async fn read(response: HttpResponse) -> Result<Self, BoxError> {
        let header = |name| response.headers().get(name).map(str::to_owned);
        let error_type = header("x-amzn-errortype").map(|kind| kind.split(':').next().unwrap_or_default().to_owned());
        let (request_id, version) = (header("x-amzn-requestid"), header("x-amz-executed-version"));
        let (status, raised) = (response.status().as_u16(), header("x-amz-function-error").is_some());
        let body = ByteStream::new(response.into_body()).collect().await?.into_bytes();
        Ok(Self { status, raised, error_type, request_id, version, body })
    }

    /// What it means, as the one who was called has it.
    pub(super) fn answer(self, meaning: impl FnOnce(&Self) -> Answer) -> Answer {
        let answer = meaning(&self);
        Answer { request_id: self.request_id, version: self.version, ..answer }
    }
}

/// The message of an error, shortened: it may quote anything.
pub(super) fn reason(body: &[u8]) -> String {
    let value: Option<Value> = serde_json::from_slice(body).ok();
    let message = value.and_then(|value| value.get("errorMessage").and_then(Value::as_str).map(str::to_owned));
    let message = message.unwrap_or_else(|| "the function failed".to_owned());
    message.chars().take(200).collect()
}
