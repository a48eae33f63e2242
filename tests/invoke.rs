//! Functions on AWS: a server that knows the rules of Signature Version 4, and checks what it gets.

use std::sync::{Arc, Mutex};

use anabranch::source::mapping::{Answered, AwsFunction, Target};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

const FUNCTION: &str = "arn:aws:lambda:eu-west-1:123456789012:function:replicate:live";
const EVENT: &str = r#"{"Records":[]}"#;
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// What the service answers to those who are let in.
type Answers = Arc<Mutex<Vec<Response>>>;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

/// HMAC by its definition; no key of these is longer than a block.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let padded = |pad: u8| (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ pad).collect::<Vec<_>>();
    let inner = sha256(&[&padded(0x36)[..], message].concat());
    sha256(&[padded(0x5c), inner].concat())
}

/// The signature that the request should have, from the rules.
fn signature(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8], names: &str, scope: &str) -> String {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    let signed: String = names.split(';').map(|name| format!("{name}:{}\n", header(name))).collect();
    // Every service but S3 has its path encoded once more.
    let path = uri.path().replace('%', "%25");
    let query = uri.query().unwrap_or_default();
    let request = format!("{method}\n{path}\n{query}\n{signed}\n{names}\n{}", hex(&sha256(body)));
    let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", header("x-amz-date"), hex(&sha256(request.as_bytes())));
    let key = scope.split('/').fold(format!("AWS4{SECRET}").into_bytes(), |key, part| hmac(&key, part.as_bytes()));
    hex(&hmac(&key, text.as_bytes()))
}

fn refused(why: &'static str) -> Response {
    (StatusCode::FORBIDDEN, [("x-amzn-errortype", "InvalidSignatureException:http://internal/")], why).into_response()
}

async fn lambda(State(answers): State<Answers>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let sent = header("authorization").strip_prefix("AWS4-HMAC-SHA256 ").unwrap_or_default();
    let part = |name: &str| sent.split(", ").find_map(|part| part.strip_prefix(name)).unwrap_or_default().to_owned();
    let (credential, names) = (part("Credential="), part("SignedHeaders="));
    let (key, scope) = credential.split_once('/').unwrap_or_default();
    let date = header("x-amz-date").split('T').next().unwrap_or_default();
    if key != "AKIDEXAMPLE" || scope != format!("{date}/eu-west-1/lambda/aws4_request") {
        return refused("the credential's scope");
    }
    if !["content-type", "host", "x-amz-date"].iter().all(|name| names.split(';').any(|signed| signed == *name)) {
        return refused("the headers that are signed");
    }
    if part("Signature=") != signature(&method, &uri, &headers, &body, &names, scope) {
        return refused("the signature");
    }
    if uri.path()
        != "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Areplicate%3Alive/invocations"
    {
        return refused("the path");
    }
    assert_eq!(body, EVENT);
    answers.lock().expect("no panic under the lock").remove(0)
}

async fn serve(answers: Vec<Response>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = Router::new().fallback(lambda).with_state(Arc::new(Mutex::new(answers)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn config(endpoint: &str, secret: &str) -> SdkConfig {
    let credentials = Credentials::new("AKIDEXAMPLE", secret, Some("token of a role".into()), None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .build()
}

#[tokio::test]
async fn invocations_are_signed_and_answers_are_told_apart() {
    let error = r#"{"errorMessage":"out of luck","errorType":"Error"}"#;
    let endpoint = serve(vec![
        ([("x-amzn-requestid", "request-1"), ("x-amz-executed-version", "7")], r#"{"batchItemFailures":[]}"#)
            .into_response(),
        ([("x-amz-function-error", "Unhandled")], error).into_response(),
        (StatusCode::TOO_MANY_REQUESTS, [("x-amzn-errortype", "TooManyRequestsException")], "").into_response(),
    ])
    .await;
    let function = AwsFunction::new(&config(&endpoint, SECRET), FUNCTION).expect("a region and credentials");
    let answer = function.invoke(EVENT.into()).await;
    assert_eq!(answer.result, Answered::Returned(r#"{"batchItemFailures":[]}"#.into()));
    assert_eq!((answer.request_id.as_deref(), answer.version.as_deref()), (Some("request-1"), Some("7")));
    let answer = function.invoke(EVENT.into()).await;
    assert_eq!(answer.result, Answered::Failed { reason: "out of luck".to_owned() });
    let answer = function.invoke(EVENT.into()).await;
    assert_eq!(answer.result, Answered::NotRun { reason: "TooManyRequestsException (HTTP status 429)".to_owned() });
}

#[tokio::test]
async fn who_is_not_let_in_has_not_run() {
    let endpoint = serve(Vec::new()).await;
    let function = AwsFunction::new(&config(&endpoint, "another secret"), FUNCTION).expect("a region and credentials");
    let answer = function.invoke(EVENT.into()).await;
    assert_eq!(answer.result, Answered::NotRun { reason: "InvalidSignatureException (HTTP status 403)".to_owned() });
}
