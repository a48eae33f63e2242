//! A proxy that spoils answers by a script: over HTTP, between a client and any DynamoDB endpoint.

use std::{
    collections::HashMap,
    fmt, io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Frame, Incoming},
    client,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time::sleep,
};

/// A request that the script is asked about.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Asked<'a> {
    /// `Scan`, `Query`, `BatchWriteItem` and so on.
    pub operation: &'a str,
    /// How many requests of this operation there were, this one included.
    pub number: usize,
    /// The request.
    pub body: &'a Value,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing.
    None,
    /// It is throttled, with `ProvisionedThroughputExceededException`.
    Throttle,
    /// It fails with this status, and is not done.
    Status(u16),
    /// The answer comes, later.
    Slow(Duration),
    /// Half of the answer comes, then the connection ends.
    Cut,
    /// It is done, and the connection ends without an answer.
    Lose,
    /// The answer is the one that the last request of this operation got.
    Repeat,
    /// The answer's `LastEvaluatedKey` is the request's `ExclusiveStartKey`.
    RepeatKey,
    /// Nothing of a `BatchWriteItem` or `BatchGetItem` is done, and all of it handed back in an answer that is a success.
    Unprocessed,
}

/// A proxy before a DynamoDB endpoint on a port of this machine, gone when it is dropped.
///
/// Requests go through one by one, on connections of their own, with their signatures as they are: the endpoint must be one
/// that does not check them, as the [embedded one](super::embedded).
///
#[cfg_attr(feature = "cli", doc = "```")]
#[cfg_attr(not(feature = "cli"), doc = "```ignore")]
/// use anabranch::{scan::Scan, testing::{embedded::{Embedded, PET_TRACKER}, proxy::{Fault, FaultProxy}}};
/// use futures_util::StreamExt;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let embedded = Embedded::start().await?;
/// embedded.create_pet_tracker().await?;
/// let proxy = FaultProxy::start(embedded.endpoint()).await?;
/// proxy.set_faults(|asked| if asked.number == 1 { Fault::Cut } else { Fault::None });
/// let config = embedded.sdk_config().to_builder().endpoint_url(proxy.endpoint()).build();
/// let pages = Scan::new(&aws_sdk_dynamodb::Client::new(&config), PET_TRACKER).pages();
/// assert_eq!(pages.filter_map(async |page| page.ok()).count().await, 1);
/// assert_eq!(proxy.count("Scan"), 2);
/// # embedded.stop().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FaultProxy {
    endpoint: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    /// Host and port of the endpoint behind.
    upstream: String,
    script: Mutex<Box<Script>>,
    seen: Mutex<HashMap<String, Seen>>,
}

type Script = dyn FnMut(Asked<'_>) -> Fault + Send;

#[derive(Default)]
struct Seen {
    count: usize,
    last: Option<Answer>,
}

#[derive(Clone)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Why a connection ends before its answer does.
#[derive(Debug, thiserror::Error)]
#[error("the connection ends here")]
struct Closed;

type Body = BoxBody<Bytes, Closed>;

impl FaultProxy {
    /// Starts on any free port of 127.0.0.1, before an endpoint such as `http://127.0.0.1:8000`.
    ///
    /// # Errors
    /// There is no port to be had.
    pub async fn start(endpoint: &str) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let upstream = endpoint.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let script: Box<Script> = Box::new(|_| Fault::None);
        let shared = Arc::new(Shared { upstream, script: Mutex::new(script), seen: Mutex::default() });
        let server = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { endpoint: url, shared, server })
    }

    /// The address to give to clients.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Asks `script` before every request what is to go wrong.
    pub fn set_faults(&self, script: impl FnMut(Asked<'_>) -> Fault + Send + 'static) {
        *lock(&self.shared.script) = Box::new(script);
    }

    /// How many requests of an operation there were.
    pub fn count(&self, operation: &str) -> usize {
        lock(&self.shared.seen).get(operation).map_or(0, |seen| seen.count)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl fmt::Debug for FaultProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultProxy").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&shared)));
            // Clients that go away, and faults that close the connection, are no errors of the proxy's.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Body>, Closed> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    let fault = shared.fault(&operation, &json);
    if let Some(answer) = shared.instead(fault, &operation, &json) {
        return Ok(answer.whole());
    }
    if let Fault::Slow(time) = fault {
        sleep(time).await;
    }
    let mut answer = shared.forward(Request::from_parts(parts, Full::new(body))).await.map_err(|_| Closed)?;
    lock(&shared.seen).entry(operation).or_default().last = Some(answer.clone());
    match fault {
        Fault::Lose => return Err(Closed),
        Fault::Cut => return Ok(answer.half()),
        Fault::RepeatKey => answer.end_at(&json["ExclusiveStartKey"]),
        _ => {}
    }
    Ok(answer.whole())
}

impl Shared {
    fn fault(&self, operation: &str, body: &Value) -> Fault {
        let number = {
            let mut seen = lock(&self.seen);
            let seen = seen.entry(operation.to_owned()).or_default();
            seen.count += 1;
            seen.count
        };
        lock(&self.script)(Asked { operation, number, body })
    }

    /// The answer that is given without asking the endpoint.
    fn instead(&self, fault: Fault, operation: &str, request: &Value) -> Option<Answer> {
        match fault {
            Fault::Throttle => Some(Answer::error(400, "ProvisionedThroughputExceededException")),
            Fault::Status(status) => Some(Answer::error(status, "InternalServerError")),
            Fault::Repeat => lock(&self.seen).get(operation)?.last.clone(),
            Fault::Unprocessed if operation == "BatchWriteItem" => {
                Some(Answer::new(200, &json!({"UnprocessedItems": request["RequestItems"]})))
            }
            Fault::Unprocessed if operation == "BatchGetItem" => {
                Some(Answer::new(200, &json!({"Responses": {}, "UnprocessedKeys": request["RequestItems"]})))
            }
            _ => None,
        }
    }

    async fn forward(&self, request: Request<Full<Bytes>>) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(&self.upstream).await?;
        let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        connection.abort();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

impl Answer {
    fn new(status: u16, body: &Value) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, headers: HeaderMap::new(), body: body.to_string().into() }
    }

    fn error(status: u16, code: &str) -> Self {
        Self::new(status, &json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "a fault"}))
    }

    /// Makes the answer a page that ends at a key.
    fn end_at(&mut self, key: &Value) {
        let mut page: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        page["LastEvaluatedKey"] = key.clone();
        self.body = page.to_string().into();
        self.headers.remove("x-amz-crc32");
    }

    fn whole(self) -> Response<Body> {
        let body = Full::new(self.body.clone()).map_err(|never| match never {}).boxed();
        self.response(body)
    }

    /// Promises the whole body and ends in the middle.
    fn half(self) -> Response<Body> {
        let half = self.body.slice(..self.body.len() / 2);
        let frames = stream::iter([Ok(Frame::data(half)), Err(Closed)]);
        self.response(BodyExt::boxed(StreamBody::new(frames)))
    }

    fn response(mut self, body: Body) -> Response<Body> {
        self.headers.insert("content-length", self.body.len().into());
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}
