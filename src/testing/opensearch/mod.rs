//! A search server inside this process, over HTTP: a double, for tests and demos without OpenSearch.
//!
//! **It is a double, and its fidelity is our claim.** No search server can run in a test process, so this one follows
//! the published API of OpenSearch's `_bulk` endpoint and the little around it: index, create, update and delete
//! with a status per item, external versions and their conflicts, tombstones of deletes, noops, new indexes,
//! mappings that refuse documents, near-real-time searches that match everything. It interprets
//! one script, [ours](crate::sink::index::SCRIPT), natively, and refuses every other. Analysis, queries, shards, security and scores it
//! does not have. Run [`conformance::index`](crate::sink::conformance::index) against your real server as well.

mod bulk;
mod fault;
mod mapping;
mod routes;
mod store;
mod update;

use std::{
    collections::BTreeMap,
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
pub use fault::{Asked, Fault};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use store::Store;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// The largest body that is taken, unless another limit is set: the default of `http.max_content_length`.
pub const DEFAULT_BODY_LIMIT: usize = 100 * 1024 * 1024;

/// A double of a search server on a port of this machine, gone when it is dropped.
///
#[cfg_attr(feature = "search", doc = "```")]
#[cfg_attr(not(feature = "search"), doc = "```ignore")]
/// use anabranch::{sink::{conformance, index::OpenSearch}, testing::opensearch::OpenSearchDouble};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let double = OpenSearchDouble::start().await?;
/// conformance::index(&OpenSearch::at(double.url())?).await;
/// assert!(double.documents("conformance").len() > 40);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct OpenSearchDouble {
    url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    store: Mutex<Store>,
    faults: Mutex<Box<FaultFn>>,
    seen: Mutex<Vec<Seen>>,
    limits: Mutex<Limits>,
}

type FaultFn = dyn FnMut(Asked<'_>) -> Fault + Send;

struct Limits {
    body: usize,
    authorization: Option<String>,
}

impl Limits {
    fn refuses(&self, authorization: Option<String>, bytes: usize) -> Option<u16> {
        let stranger = self.authorization.is_some() && self.authorization != authorization;
        if stranger { Some(401) } else { (bytes > self.body).then_some(413) }
    }
}

/// A request that the double has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The path, as it came.
    pub path: String,
    /// The header that says who sends it.
    pub authorization: Option<String>,
    /// The size of the body.
    pub bytes: usize,
}

impl OpenSearchDouble {
    /// Starts on any free port of 127.0.0.1.
    ///
    /// # Errors
    /// There is no port to be had.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(0).await
    }

    /// Starts on a port of 127.0.0.1.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn start_on(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            store: Mutex::default(),
            faults: Mutex::new(Box::new(|_| Fault::None)),
            seen: Mutex::default(),
            limits: Mutex::new(Limits { body: DEFAULT_BODY_LIMIT, authorization: None }),
        });
        let server = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { url, shared, server })
    }

    /// Where it listens: `http://127.0.0.1:port`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The documents of an index as they are stored, by id, whether a search sees them yet or not.
    pub fn documents(&self, index: &str) -> BTreeMap<String, Value> {
        lock(&self.shared.store).sources(index)
    }

    /// The names of the indexes.
    pub fn indexes(&self) -> Vec<String> {
        lock(&self.shared.store).names()
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// Asks `faults` before every request, and before every operation of a bulk, what is to go wrong.
    pub fn set_faults(&self, faults: impl FnMut(Asked<'_>) -> Fault + Send + 'static) {
        *lock(&self.shared.faults) = Box::new(faults);
    }

    /// Answers larger bodies with status 413.
    pub fn limit_bodies(&self, bytes: usize) {
        lock(&self.shared.limits).body = bytes;
    }

    /// Answers with status 401 whoever does not send this `authorization` header.
    pub fn require_authorization(&self, header: impl Into<String>) {
        lock(&self.shared.limits).authorization = Some(header.into());
    }

    /// Makes no index by itself any more when something is written to one that is not there.
    pub fn forbid_new_indexes(&self) {
        lock(&self.shared.store).makes_indexes = false;
    }
}

impl Drop for OpenSearchDouble {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl fmt::Debug for OpenSearchDouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenSearchDouble").field("url", &self.url).finish_non_exhaustive()
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(|request| answer(request, Arc::clone(&shared)));
    // A client that goes away, and a fault that closes the connection, are no errors of the double's.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Why a connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("told to close the connection")]
struct Closed;

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Closed> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let authorization = parts.headers.get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let seen = Seen {
        method: method.to_owned(),
        path: path.to_owned(),
        authorization: authorization.clone(),
        bytes: body.len(),
    };
    lock(&shared.seen).push(seen);
    let (status, value) = match shared.fault(Asked::Request { method, path }) {
        Fault::Close => return Err(Closed),
        Fault::Status(status) => fault::answer(status),
        Fault::None => shared.route(authorization, method, path, parts.uri.query(), &body),
        Fault::Lose => {
            shared.route(authorization, method, path, parts.uri.query(), &body);
            return Err(Closed);
        }
    };
    Ok(respond(status, &value))
}

fn respond(status: u16, value: &Value) -> Response<Full<Bytes>> {
    let body = if value.is_null() { Bytes::new() } else { value.to_string().into() };
    let response = Response::builder().status(status).header("content-type", "application/json; charset=UTF-8");
    response.body(Full::new(body)).expect("a status and a header that are legal")
}

impl Shared {
    fn fault(&self, asked: Asked<'_>) -> Fault {
        lock(&self.faults)(asked)
    }

    fn route(
        &self,
        authorization: Option<String>,
        method: &str,
        path: &str,
        query: Option<&str>,
        body: &[u8],
    ) -> routes::Answer {
        if let Some(status) = lock(&self.limits).refuses(authorization, body.len()) {
            return fault::answer(status);
        }
        let mut faults = |asked: Asked<'_>| self.fault(asked);
        routes::route(&mut lock(&self.store), &mut faults, method, path, query, body)
    }
}
