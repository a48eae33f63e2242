//! AWS that takes everything and does nothing: what is left is the client's work, and how often it asks.

#![allow(dead_code, reason = "each user of the support code uses its own part of it")]

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
};
use aws_smithy_types::body::SdkBody;
use serde_json::Value;

/// What the null AWS was asked.
#[derive(Clone, Default)]
pub(crate) struct Asked(Arc<Counts>);

#[derive(Default)]
struct Counts {
    requests: AtomicUsize,
    /// Whether to look into the requests.
    watches: bool,
    beside: AtomicUsize,
    refusal: Mutex<Option<(u16, String)>>,
    under_way: Mutex<HashSet<String>>,
}

impl Asked {
    /// Counts requests, and looks for two requests that write the same row at the same time.
    pub(crate) fn watching() -> Self {
        Self(Arc::new(Counts { watches: true, ..Counts::default() }))
    }

    pub(crate) fn requests(&self) -> usize {
        self.0.requests.load(Relaxed)
    }

    /// How often a row was written while another write of it was on its way.
    pub(crate) fn beside(&self) -> usize {
        self.0.beside.load(Relaxed)
    }

    /// Answers everything with this status and body, or nothing with them any more.
    pub(crate) fn refuse(&self, answer: Option<(u16, String)>) {
        *self.0.refusal.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    /// A configuration whose clients ask nobody.
    pub(crate) fn config(&self) -> SdkConfig {
        let connector = SharedHttpConnector::new(self.clone());
        SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("null", "null", None, None, "null")))
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .build()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("requests", &self.requests()).finish_non_exhaustive()
    }
}

impl HttpConnector for Asked {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.0.requests.fetch_add(1, Relaxed);
        let refusal = self.0.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((status, body)) = refusal {
            let response = HttpResponse::new(status.try_into().expect("a status"), SdkBody::from(body));
            return HttpConnectorFuture::ready(Ok(response));
        }
        let body = request.body().bytes().expect("requests are held in memory");
        let operation = request.headers().get("x-amz-target").and_then(|target| target.rsplit('.').next());
        let answer = match operation {
            Some("BatchGetItem") => r#"{"Responses":{},"UnprocessedKeys":{}}"#.to_owned(),
            Some("BatchWriteItem") => r#"{"UnprocessedItems":{}}"#.to_owned(),
            Some(_) => "{}".to_owned(),
            None => published(body),
        };
        let response = HttpResponse::new(200.try_into().expect("a status"), SdkBody::from(answer));
        if !self.0.watches {
            return HttpConnectorFuture::ready(Ok(response));
        }
        let (rows, asked) = (operation.map_or_else(Vec::new, |_| written(body)), self.clone());
        HttpConnectorFuture::new(async move {
            let twice = rows.iter().filter(|row| !asked.lock().insert((*row).clone())).count();
            asked.0.beside.fetch_add(twice, Relaxed);
            tokio::task::yield_now().await;
            rows.iter().for_each(|row| _ = asked.lock().remove(row));
            Ok(response)
        })
    }
}

/// What SNS answers: that it has taken everything.
fn published(body: &[u8]) -> String {
    let form = str::from_utf8(body).expect("forms are ASCII");
    let ids = form.split('&').filter_map(|field| field.split_once(".Id=")).map(|(_, id)| id);
    let entries: String = ids.map(|id| format!("<member><Id>{id}</Id><MessageId>m</MessageId></member>")).collect();
    if entries.is_empty() {
        return "<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>".to_owned();
    }
    let result = format!("<Successful>{entries}</Successful><Failed></Failed>");
    format!("<PublishBatchResponse><PublishBatchResult>{result}</PublishBatchResult></PublishBatchResponse>")
}

/// The rows that a request writes, by their keys.
fn written(body: &[u8]) -> Vec<String> {
    let request: Value = serde_json::from_slice(body).expect("requests are JSON");
    let mut rows = Vec::new();
    collect(&request, &mut rows);
    rows
}

fn collect(value: &Value, rows: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| match name.as_str() {
            "Item" | "Key" => rows.push(["PK", "SK", "id"].map(|name| value[name].to_string()).join(" ")),
            _ => collect(value, rows),
        }),
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, rows)),
        _ => {}
    }
}
