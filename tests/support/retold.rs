//! The embedded DynamoDB, retold: as one of another account or region would answer, or one that does not allow all.

use std::{future::IntoFuture, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

/// What the ARNs of the embedded one begin with.
const EMBEDDED: &str = "arn:aws:dynamodb:dynoxide:000000000000:";

/// A request.
pub(crate) struct Asked<'a> {
    pub(crate) operation: &'a str,
    /// The region that it was signed for.
    pub(crate) region: &'a str,
    pub(crate) body: &'a Value,
}

/// The endpoint that answers, or the code of an error.
pub(crate) type Told = Result<String, &'static str>;

/// Starts on any free port; ARNs begin with `arn`. Gone with the runtime.
pub(crate) async fn start(arn: &'static str, tell: impl Fn(Asked<'_>) -> Told + Send + Sync + 'static) -> String {
    let tell = Arc::new(tell);
    let answer = move |request: Request| {
        let tell = Arc::clone(&tell);
        async move {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.expect("a request");
            let json = serde_json::from_slice(&body).unwrap_or_default();
            let asked = Asked { operation: operation(&parts.headers), region: region(&parts.headers), body: &json };
            let told = tell(asked);
            match told {
                Ok(endpoint) => retell(&endpoint, arn, Request::from_parts(parts, Full::new(body))).await,
                Err(code) => response(StatusCode::BAD_REQUEST, json!({"__type": code, "message": "no"}).to_string()),
            }
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(axum::serve(listener, Router::new().fallback(answer)).into_future());
    endpoint
}

fn operation(headers: &HeaderMap) -> &str {
    headers["x-amz-target"].to_str().expect("text").rsplit('.').next().expect("a part")
}

/// The third part of the credential's scope.
fn region(headers: &HeaderMap) -> &str {
    headers["authorization"].to_str().expect("text").split('/').nth(2).expect("a region")
}

async fn retell(endpoint: &str, arn: &str, request: Request<Full<Bytes>>) -> Response {
    let stream = TcpStream::connect(endpoint.trim_start_matches("http://")).await.expect("it listens");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
    let connection = tokio::spawn(connection);
    let (parts, body) = sender.send_request(request).await.expect("an answer").into_parts();
    let body = body.collect().await.expect("an answer").to_bytes();
    connection.abort();
    response(parts.status, String::from_utf8_lossy(&body).replace(EMBEDDED, arn))
}

fn response(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}
