//! A server that answers every scan with a canned page, so that what is measured is the client.

#![allow(dead_code, reason = "each benchmark uses its own part of the support code")]

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use flate2::Crc;

use super::batches::Batch;

/// What the server answers with: the same items on every page, and a key on all but the last of each segment.
pub(crate) struct Canned {
    pub(crate) items: Batch,
    pub(crate) pages: usize,
    pub(crate) latency: Duration,
}

impl Canned {
    /// The page with a number, from 0.
    pub(crate) fn page(&self, number: usize) -> Vec<u8> {
        let count = self.items.records;
        let key = match number + 1 < self.pages {
            true => format!(r#""LastEvaluatedKey":{{"PK":{{"N":"{number}"}}}},"#),
            false => String::new(),
        };
        let head = r#"{"ConsumedCapacity":{"CapacityUnits":128.0,"TableName":"PetTracker"},"#;
        let head = format!(r#"{head}"Count":{count},"Items":["#);
        let tail = format!(r#"],{key}"ScannedCount":{count}}}"#);
        [head.as_bytes(), &self.items.body, tail.as_bytes()].concat()
    }
}

/// Serves until the process ends; the port is handed back.
pub(crate) fn serve(canned: Canned) -> u16 {
    serve_by(move |request| {
        // Some clients write spaces.
        let number =
            request.replace(' ', "").split_once(r#""ExclusiveStartKey":{"PK":{"N":""#).map_or(0, |(_, key)| {
                let number = key.split('"').next().unwrap_or_default();
                number.parse::<usize>().expect("a key of ours") + 1
            });
        let page = canned.page(number);
        thread::sleep(canned.latency);
        page
    })
}

/// The same with an answer of one's own to each request's body.
pub(crate) fn serve_by(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let page = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let page = Arc::clone(&page);
            // A client that goes away ends its connection only.
            thread::spawn(move || converse(stream, &*page).unwrap_or_default());
        }
    });
    port
}

fn converse(stream: TcpStream, page: &impl Fn(&str) -> Vec<u8>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut requests = BufReader::new(stream.try_clone()?);
    while let Some(request) = next_request(&mut requests)? {
        answer(&stream, &page(&request))?;
    }
    Ok(())
}

/// The body of the next request.
fn next_request(requests: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let (mut line, mut length) = (String::new(), 0);
    while requests.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        line.clear();
    }
    let mut body = vec![0; length];
    requests.read_exact(&mut body)?;
    Ok((length > 0).then(|| String::from_utf8(body).expect("requests are UTF-8")))
}

fn answer(mut stream: &TcpStream, page: &[u8]) -> std::io::Result<()> {
    let mut checksum = Crc::new();
    checksum.update(page);
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\nx-amzn-requestid: R\r\nx-amz-crc32: {}\r\ncontent-length: {}\r\n\r\n",
        checksum.sum(),
        page.len()
    )?;
    stream.write_all(page)
}
