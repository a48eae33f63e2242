//! What an invocation costs end to end, inside the Lambda runtime: 6 MB of PetTracker records, handled by nobody.
//!
//! Rows: ours (`lambda::run`), what people write today (`lambda_runtime` with the event's structs and an item each), and a
//! bare socket loop around our dispatcher. Each runs in a process of its own under callgrind, once for one event and
//! once for three; half of the difference is the cost of one, without any start-up.
//!
//! `cargo bench -p anabranch --bench runtime` fails if a ratio exceeds its bound; `-- --report` only prints.

#[path = "support/batches.rs"]
mod batches;
#[path = "support/callgrind.rs"]
mod callgrind;
#[path = "support/rows.rs"]
mod rows;
#[path = "support/types.rs"]
mod types;

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process::ExitCode,
    sync::Arc,
};

use anabranch::{handler::Context, lambda};
use aws_lambda_events::dynamodb::Event;
use bytes::Bytes;
use lambda_runtime::{LambdaEvent, service_fn};

const ROWS: [&str; 3] = ["today", "ours", "bare_socket"];
const FEW: usize = 1;
const MORE: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, row] = arguments.as_slice()
        && flag == callgrind::ROW
    {
        serve(row);
        return ExitCode::SUCCESS;
    }
    let body: Arc<[u8]> = batches::pets(6_000_000).body.into();
    let counts = ROWS.map(|row| (count(row, &body, MORE) - count(row, &body, FEW)) / (MORE - FEW) as u64);
    for (row, instructions) in ROWS.iter().zip(counts) {
        println!("  {row:<12} {:>8.2} per byte", instructions as f64 / body.len() as f64);
    }
    let [today, ours, bare] = counts.map(|count| count as f64);
    let held = [
        judge("ours of today", ours / today, 1.0 / 8.0, 0.133),
        judge("ours of a bare socket loop", ours / bare, 1.1, 1.1),
    ];
    let missed = held.contains(&false) && !arguments.iter().any(|argument| argument == "--report");
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Whether the bound holds, which keeps what has been reached on the way to the aim.
fn judge(what: &str, ratio: f64, aim: f64, bound: f64) -> bool {
    println!("{what}: {ratio:.3} (aim {aim:.3}, bound {bound:.3})");
    ratio <= bound
}

/// All instructions of a function that lives for so many events.
fn count(row: &str, body: &Arc<[u8]>, events: usize) -> u64 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it listens").to_string();
    let body = body.clone();
    let api = std::thread::spawn(move || runtime_api(&listener, &body, events));
    let environment = [
        ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
        ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "g"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "s"),
        ("AWS_LAMBDA_LOG_LEVEL", "error"),
    ];
    let instructions = callgrind::count_all(&[callgrind::ROW, row], &environment);
    api.join().expect("every event was answered");
    instructions
}

/// Hands out so many events, waits for their answers, and is gone.
fn runtime_api(listener: &TcpListener, body: &[u8], events: usize) {
    let mut answered = 0;
    while answered < events {
        let (mut stream, _) = listener.accept().expect("the function connects");
        let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
        while answered < events {
            let Some((request, _)) = message(&mut reader) else { break };
            if request.starts_with("GET") {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nlambda-runtime-aws-request-id: r\r\nlambda-runtime-deadline-ms: 32503680000000\r\n\
                     lambda-runtime-invoked-function-arn: a\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).expect("the function reads");
            } else {
                assert!(request.contains("/response"), "the function failed: {request}");
                stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").expect("the function reads");
                answered += 1;
            }
        }
    }
}

/// The first line and the body of an HTTP message, or nothing at the end of the connection.
fn message(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).ok().filter(|bytes| *bytes > 0)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        match line.trim_end().split_once(':') {
            None => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok()?,
            Some(_) => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first, body))
}

/// A function: it ends when the API is gone, with an error that is expected.
fn serve(row: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match row {
        "ours" => _ = runtime.block_on(lambda::run(rows::dispatcher("owned", "A"))),
        "today" => _ = runtime.block_on(lambda_runtime::run(service_fn(today))),
        "bare_socket" => bare_socket(&runtime),
        other => panic!("no row {other}"),
    }
}

async fn today(event: LambdaEvent<Event>) -> Result<(), lambda_runtime::Error> {
    event.payload.records.into_iter().for_each(rows::images::<types::Pet>);
    Ok(())
}

fn bare_socket(runtime: &tokio::runtime::Runtime) {
    let address = std::env::var("AWS_LAMBDA_RUNTIME_API").expect("the address of the API");
    let dispatcher = rows::dispatcher("owned", "A");
    let mut stream = TcpStream::connect(address).expect("the API is there");
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    loop {
        let sent = stream.write_all(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nhost: api\r\n\r\n");
        let Some((_, body)) = sent.ok().and_then(|()| message(&mut reader)) else { return };
        let report =
            runtime.block_on(dispatcher.dispatch(Bytes::from(body), &Context::default())).expect("a stream event");
        let answer = serde_json::to_string(&report.response()).expect("serializes");
        let request = format!(
            "POST /2018-06-01/runtime/invocation/r/response HTTP/1.1\r\nhost: api\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        if stream.write_all(request.as_bytes()).is_err() || message(&mut reader).is_none() {
            return;
        }
    }
}
