//! Which request means what.

use serde_json::{Value, json};

use super::{
    bulk::bulk,
    fault::{Asked, Fault},
    store::{Store, Trouble},
};

/// A status and a body; null is no body.
pub(super) type Answer = (u16, Value);
/// What is asked before each operation.
pub(super) type Faults<'a> = dyn FnMut(Asked<'_>) -> Fault + 'a;

/// How many documents a search shows unless it says otherwise.
const DEFAULT_HITS: usize = 10;

pub(super) fn route(
    store: &mut Store,
    faults: &mut Faults<'_>,
    method: &str,
    path: &str,
    query: Option<&str>,
    body: &[u8],
) -> Answer {
    let parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(unescaped).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match (method, parts.as_slice()) {
        ("GET", []) => {
            (200, json!({"cluster_name": "double", "version": {"distribution": "opensearch", "number": "2.19.0"}}))
        }
        ("POST" | "PUT", ["_bulk"]) => refreshing(store, query, |store| bulk(store, faults, None, body)),
        ("POST" | "PUT", [index, "_bulk"]) => refreshing(store, query, |store| bulk(store, faults, Some(index), body)),
        ("POST" | "GET", ["_refresh"]) => {
            store.refresh_all();
            (200, json!({"_shards": {"failed": 0}}))
        }
        ("POST" | "GET", [index, "_refresh"]) => {
            answered(store.refresh(index).map(|()| json!({"_shards": {"failed": 0}})))
        }
        ("GET", [index, "_doc", id]) => get(store, index, id),
        ("POST" | "GET", [index, "_count"]) => {
            answered(store.index(index).map(|index| json!({"count": index.visible().len()})))
        }
        ("POST" | "GET", [index, "_search"]) => search(store, index, query, body),
        ("PUT", [index]) => create(store, index, body),
        ("HEAD", [index]) => (if store.index(index).is_ok() { 200 } else { 404 }, Value::Null),
        ("DELETE", [index]) => answered(store.delete_index(index).map(|()| json!({"acknowledged": true}))),
        _ => (
            405,
            json!({"error": format!("Incorrect HTTP method for uri [{path}] and method [{method}]"), "status": 405}),
        ),
    }
}

fn answered(result: Result<Value, Trouble>) -> Answer {
    match result {
        Ok(value) => (200, value),
        Err(Trouble { status, error }) => (status, json!({"error": error, "status": status})),
    }
}

fn refreshing(store: &mut Store, query: Option<&str>, act: impl FnOnce(&mut Store) -> Answer) -> Answer {
    let answer = act(store);
    if parameter(query, "refresh").is_some_and(|value| value != "false") {
        store.refresh_all();
    }
    answer
}

fn get(store: &Store, index: &str, id: &str) -> Answer {
    match store.index(index).map(|index| index.get(id)) {
        Ok(Some(stored)) => {
            let source = &stored.source;
            (200, json!({"_index": index, "_id": id, "_version": stored.version, "found": true, "_source": source}))
        }
        Ok(None) => (404, json!({"_index": index, "_id": id, "found": false})),
        Err(error) => answered(Err(error)),
    }
}

fn create(store: &mut Store, index: &str, body: &[u8]) -> Answer {
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let created = store.create(index, body["mappings"].clone());
    answered(created.map(|()| json!({"acknowledged": true, "shards_acknowledged": true, "index": index})))
}

/// Finds everything, in order of ids, as far as the index was refreshed.
fn search(store: &Store, name: &str, query: Option<&str>, body: &[u8]) -> Answer {
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let asks_for_all = body["query"].is_null() || body["query"].get("match_all").is_some();
    if !asks_for_all {
        let error = json!({"type": "parsing_exception", "reason": "the double knows match_all only"});
        return (400, json!({"error": error, "status": 400}));
    }
    let number = |name: &str| parameter(query, name).and_then(|text| text.parse().ok()).or(body[name].as_u64());
    let size = number("size").and_then(|size| usize::try_from(size).ok()).unwrap_or(DEFAULT_HITS);
    let from = number("from").and_then(|from| usize::try_from(from).ok()).unwrap_or_default();
    answered(store.index(name).map(|index| {
        let visible = index.visible();
        let page = visible.iter().skip(from).take(size);
        let hits: Vec<Value> =
            page.map(|(id, source)| json!({"_index": name, "_id": id, "_score": 1.0, "_source": source})).collect();
        json!({"took": 1, "timed_out": false,
            "hits": {"total": {"value": visible.len(), "relation": "eq"}, "max_score": 1.0, "hits": hits}})
    }))
}

fn parameter<'q>(query: Option<&'q str>, name: &str) -> Option<&'q str> {
    let pairs = query?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
}

/// A part of a path without its escapes.
fn unescaped(part: &str) -> String {
    let bytes = part.as_bytes();
    let (mut plain, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let digits = part.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        plain.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&plain).into_owned()
}
