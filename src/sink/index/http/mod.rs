//! OpenSearch and Elasticsearch over HTTP.

mod answer;
mod auth;
mod body;
mod error;

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, LazyLock},
    time::Duration,
};

use aws_config::SdkConfig;
use aws_smithy_http_client::{
    Connector,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorSettings},
    orchestrator::HttpRequest,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use metrics::counter;

use self::answer::Answer;
pub use self::{auth::AwsService, error::EndpointError};
use super::{Created, Document, DocumentId, Index, IndexError, Operation, ServerFailure, Written};
use crate::aws;
use auth::Auth;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// An OpenSearch or Elasticsearch server: version 1 and 2 of the one, 7 and 8 of the other, and what AWS manages.
///
/// One request per call, over HTTP/1.1 with kept connections and TLS (the system's root certificates, or
/// [one of your own](Self::trusting); loaded at the first request); 2 s to connect, 30 s for an answer, unless the deadline comes first.
///
/// ```
/// use anabranch::sink::index::OpenSearch;
///
/// let local = OpenSearch::at("http://127.0.0.1:9200")?;
/// let own = OpenSearch::at("https://search.example.com/behind/a/proxy")?.basic_auth("indexer", "secret");
/// # Ok::<(), anabranch::sink::index::EndpointError>(())
/// ```
#[derive(Clone)]
pub struct OpenSearch {
    /// Scheme, host and path, without a slash at the end.
    endpoint: Arc<str>,
    server: Arc<str>,
    auth: Auth,
    connector: Arc<LazyLock<Connector, Connecting>>,
}

/// What makes the connector, at the first request.
type Connecting = Box<dyn FnOnce() -> Connector + Send>;

/// [`OpenSearch`] under the other name that its API goes by.
pub type Elasticsearch = OpenSearch;

impl OpenSearch {
    /// The server at a URL: `http` or `https`, a host, a port if it is not the usual one, and a path if there is a
    /// proxy in front.
    ///
    /// # Errors
    /// The URL is something else, or contains credentials, which belong into [`basic_auth`](Self::basic_auth).
    pub fn at(url: &str) -> Result<Self, EndpointError> {
        let server = error::check(url)?;
        let connector = connector(TlsContext::default);
        let endpoint = url.trim_end_matches('/').into();
        Ok(Self { endpoint, server: server.into(), auth: Auth::None, connector })
    }

    /// The server at a URL; if that is an endpoint of AWS (`..es.amazonaws.com`, `..aoss.amazonaws.com`), requests are
    /// signed with the region and the credentials of the environment.
    ///
    /// A domain of AWS's behind a name of yours needs [`aws`](Self::aws).
    ///
    /// # Errors
    /// As for [`at`](Self::at) and [`aws`](Self::aws).
    pub async fn connect(url: &str) -> Result<Self, EndpointError> {
        let client = Self::at(url)?;
        match AwsService::of(&client.server) {
            Some(service) => {
                let client = Self { connector: connector(aws::trusted), ..client };
                client.aws(&aws::load().await, service)
            }
            None => Ok(client),
        }
    }

    /// Signs in with a name and a password.
    #[must_use]
    pub fn basic_auth(self, name: &str, password: &str) -> Self {
        Self { auth: Auth::basic(name, password), ..self }
    }

    /// Signs requests as AWS wants it (SigV4), with the region and the credentials of a configuration.
    ///
    /// # Errors
    /// The configuration has no region or no credentials.
    pub fn aws(self, config: &SdkConfig, service: AwsService) -> Result<Self, EndpointError> {
        Ok(Self { auth: Auth::aws(config, service)?, ..self })
    }

    /// Trusts this certificate authority, in PEM, and no other: for servers with a certificate of their own.
    ///
    /// # Errors
    /// The text is no PEM certificate.
    pub fn trusting(self, authority: &str) -> Result<Self, EndpointError> {
        if !authority.contains("-----BEGIN CERTIFICATE-----") {
            return Err(EndpointError::NoCertificate);
        }
        let store = TrustStore::empty().with_pem_certificate(authority.as_bytes());
        let context = TlsContext::builder().with_trust_store(store).build();
        let context = context.map_err(|_| EndpointError::NoCertificate)?;
        let connector = connector(move || context);
        // A certificate that is none is found now.
        LazyLock::force(&connector);
        Ok(Self { connector, ..self })
    }

    async fn send(&self, method: &str, path: &str, kind: &'static str, body: Vec<u8>) -> Result<Answer, IndexError> {
        let request = self.request(method, path, kind, body).await?;
        counter!("SinkRequests").increment(1);
        let response = self.connector.call(request).await.map_err(|error| {
            counter!("SinkFailures").increment(1);
            self.failed(error)
        })?;
        let status = response.status().as_u16();
        match status {
            429 => counter!("SinkThrottles").increment(1),
            409 => counter!("SinkConflicts").increment(1),
            // What is not there is an answer as well.
            404 => {}
            400.. => counter!("SinkFailures").increment(1),
            _ => {}
        }
        let body = ByteStream::new(response.into_body()).collect().await.map_err(|error| self.failed(error))?;
        Ok(Answer { status, body: body.into_bytes() })
    }

    async fn request(
        &self,
        method: &str,
        path: &str,
        kind: &'static str,
        body: Vec<u8>,
    ) -> Result<HttpRequest, IndexError> {
        let body = Bytes::from(body);
        let url = format!("{}{path}", self.endpoint);
        let headers = self.auth.headers(method, &url, kind, &body).await.map_err(|error| self.failed(error))?;
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method(method).map_err(|error| self.failed(error))?;
        request.set_uri(url).map_err(|error| self.failed(error))?;
        request.headers_mut().insert("content-type", kind);
        for (name, value) in headers {
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }

    /// The way to the server failed, or signing in to it did.
    fn failed(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> IndexError {
        IndexError::Failed { server: Arc::clone(&self.server), source: Arc::from(error.into()) }
    }

    async fn write(&self, operations: &[Operation]) -> Result<Vec<Result<Written, IndexError>>, IndexError> {
        if operations.is_empty() {
            return Ok(Vec::new());
        }
        let body = body::of(operations);
        let bytes = body.len();
        let answer = self.send("POST", "/_bulk", "application/x-ndjson", body).await?;
        let results = answer::of_bulk(&self.server, operations, bytes, &answer)?;
        count_in_part(&results);
        Ok(results)
    }

    async fn get(&self, index: &str, id: &DocumentId) -> Result<Option<Document>, IndexError> {
        let path = format!("/{}/_doc/{}", escaped(index), escaped(id.as_str()));
        let answer = self.send("GET", &path, "application/json", Vec::new()).await?;
        answer::of_read(&self.server, index, &answer)
    }

    async fn make(&self, index: &str, body: &Document) -> Result<Created, IndexError> {
        let path = format!("/{}", escaped(index));
        let body = serde_json::to_vec(body).expect("a JSON value can be written");
        let answer = self.send("PUT", &path, "application/json", body).await?;
        answer::of_create(&self.server, index, &answer)
    }
}

impl Index for OpenSearch {
    fn name(&self) -> &str {
        &self.server
    }

    fn bulk<'a>(
        &'a self,
        operations: &'a [Operation],
    ) -> BoxFuture<'a, Result<Vec<Result<Written, IndexError>>, IndexError>> {
        self.write(operations).boxed()
    }

    fn read<'a>(&'a self, index: &'a str, id: &'a DocumentId) -> BoxFuture<'a, Result<Option<Document>, IndexError>> {
        self.get(index, id).boxed()
    }

    fn create<'a>(&'a self, index: &'a str, body: &'a Document) -> BoxFuture<'a, Result<Created, IndexError>> {
        self.make(index, body).boxed()
    }
}

impl fmt::Debug for OpenSearch {
    /// Shows where it is and how it signs in, not with what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenSearch").field("endpoint", &self.endpoint).field("auth", &self.auth).finish_non_exhaustive()
    }
}

fn connector(context: impl FnOnce() -> TlsContext + Send + 'static) -> Arc<LazyLock<Connector, Connecting>> {
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build();
    let builder = Connector::builder().connector_settings(settings).tls_provider(Provider::Rustls(CryptoMode::AwsLc));
    Arc::new(LazyLock::new(Box::new(move || builder.tls_context(context()).build())))
}

/// A request that succeeded, and in part did not.
fn count_in_part(results: &[Result<Written, IndexError>]) {
    let met = |trouble: fn(&IndexError) -> bool| results.iter().filter_map(|it| it.as_ref().err()).any(trouble);
    if met(|error| matches!(error, IndexError::Throttled { .. })) {
        counter!("SinkThrottles").increment(1);
    }
    if met(|error| matches!(error, IndexError::Conflict { .. })) {
        counter!("SinkConflicts").increment(1);
    }
}

/// A part of a path: everything but unreserved characters as `%` and two digits per byte.
fn escaped(part: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if part.bytes().all(plain) {
        return part.into();
    }
    let escape = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    part.bytes().map(escape).collect()
}
