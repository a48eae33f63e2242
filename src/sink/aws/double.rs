//! AWS played in process: a function from request to answer behind a real SDK client.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use aws_config::{Region, SdkConfig};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
};
use aws_smithy_types::body::SdkBody;
use serde_json::Value;

/// What the double answers: a status and a JSON body.
pub(crate) type Answer = (u16, Value);

/// An error answer as AWS's JSON protocols write it.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Answer {
    let body = serde_json::json!({"__type": code, "message": message});
    (status, body)
}

/// A configuration whose clients ask `answer` instead of the network.
///
/// `answer` gets the operation's name and the request's body.
pub(crate) async fn config(answer: impl FnMut(&str, Value) -> Answer + Send + 'static) -> SdkConfig {
    let connector = SharedHttpConnector::new(Double(Arc::new(Mutex::new(answer))));
    super::defaults()
        .region(Region::new("eu-central-1"))
        .test_credentials()
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .load()
        .await
}

struct Double<F>(Arc<Mutex<F>>);

impl<F> fmt::Debug for Double<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Double")
    }
}

impl<F: FnMut(&str, Value) -> Answer + Send> HttpConnector for Double<F> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let body = request.body().bytes().expect("requests are held in memory");
        let body = serde_json::from_slice(body).expect("requests are JSON");
        let (status, answer) = self.0.lock().unwrap()(operation, body);
        let status = status.try_into().expect("a valid status");
        let mut response = HttpResponse::new(status, SdkBody::from(answer.to_string()));
        response.headers_mut().insert("x-amzn-requestid", "REQ-1");
        HttpConnectorFuture::ready(Ok(response))
    }
}
