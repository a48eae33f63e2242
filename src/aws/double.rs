//! AWS played in process: a function from request to answer behind a real SDK client.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_config::{Region, SdkConfig};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, future},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn},
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

/// Hands out credentials that are numbered from 1, and expire as the rule says.
#[derive(Debug)]
pub(crate) struct Numbered {
    handed_out: AtomicU64,
    expiry: fn(u64) -> Option<SystemTime>,
}

impl Numbered {
    pub(crate) fn new(expiry: fn(u64) -> Option<SystemTime>) -> Self {
        Self { handed_out: AtomicU64::new(0), expiry }
    }
}

impl ProvideCredentials for Numbered {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let number = self.handed_out.fetch_add(1, Ordering::Relaxed) + 1;
        let (id, expiry) = (number.to_string(), (self.expiry)(number));
        future::ProvideCredentials::ready(Ok(Credentials::new(id, "secret", None, expiry, "test")))
    }
}

/// A configuration whose clients ask `answer` instead of the network.
///
/// `answer` gets the operation's name and the request's body.
pub(crate) async fn config(answer: impl FnMut(&str, Value) -> Answer + Send + 'static) -> SdkConfig {
    slow_config(Duration::ZERO, answer).await
}

/// The same, with answers that take their time.
pub(crate) async fn slow_config(
    latency: Duration,
    mut answer: impl FnMut(&str, Value) -> Answer + Send + 'static,
) -> SdkConfig {
    http(latency, move |target, body| {
        let operation = target.rsplit('.').next().unwrap_or_default();
        let body = serde_json::from_slice(body).expect("requests are JSON");
        let (status, answer) = answer(operation, body);
        (status, answer.to_string())
    })
    .await
}

/// A configuration whose clients speak AWS's query protocol, in which requests are forms and answers XML.
///
/// `answer` gets the fields of the form, in order.
#[cfg(feature = "sns")]
pub(crate) async fn query_config(
    mut answer: impl FnMut(&[(String, String)]) -> (u16, String) + Send + 'static,
) -> SdkConfig {
    http(Duration::ZERO, move |_, body| answer(&form(body))).await
}

#[cfg(feature = "sns")]
fn form(body: &[u8]) -> Vec<(String, String)> {
    let text = std::str::from_utf8(body).expect("forms are ASCII");
    let field = |field: &str| field.split_once('=').map(|(name, value)| (unescape(name), unescape(value)));
    text.split('&').map(|pair| field(pair).expect("a name and a value")).collect()
}

#[cfg(feature = "sns")]
fn unescape(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16)).expect("a hex digit");
                (digit() * 16 + digit()) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(plain).expect("forms are UTF-8")
}

async fn http(latency: Duration, mut answer: impl FnMut(&str, &[u8]) -> (u16, String) + Send + 'static) -> SdkConfig {
    let client = client(latency, move |request| {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        answer(target, request.body().bytes().expect("requests are held in memory"))
    });
    super::defaults().region(Region::new("eu-central-1")).test_credentials().http_client(client).load().await
}

/// The network of a configuration: a function from request to answer, which takes its time.
pub(crate) fn client(
    latency: Duration,
    answer: impl FnMut(&HttpRequest) -> (u16, String) + Send + 'static,
) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Double { latency, answer: Arc::new(Mutex::new(answer)) });
    http_client_fn(move |_, _| connector.clone())
}

struct Double<F> {
    latency: Duration,
    answer: Arc<Mutex<F>>,
}

impl<F> fmt::Debug for Double<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Double")
    }
}

impl<F: FnMut(&HttpRequest) -> (u16, String) + Send> HttpConnector for Double<F> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (status, answer) = self.answer.lock().unwrap()(&request);
        let status = status.try_into().expect("a valid status");
        let mut response = HttpResponse::new(status, SdkBody::from(answer));
        response.headers_mut().insert("x-amzn-requestid", "REQ-1");
        let latency = self.latency;
        HttpConnectorFuture::new(async move {
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            Ok(response)
        })
    }
}
