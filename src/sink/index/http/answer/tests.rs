//! Answers as servers give them, and that nothing of a document gets through.

use std::error::Error as _;

use serde_json::{Value, json};

use super::*;
use crate::sink::{
    index::{DocumentId, Fields},
    table::{item, text},
};

fn server() -> Arc<str> {
    "search".into()
}

fn id() -> DocumentId {
    DocumentId::of(&item([("PK", text("a"))]))
}

fn put() -> Operation {
    Operation::put("pets", id(), "1", &json!({}), &Fields::default()).unwrap()
}

fn remove() -> Operation {
    Operation::remove("pets", id(), "1", &Fields::default())
}

fn answer(status: u16, body: &Value) -> Answer {
    Answer { status, body: body.to_string().into() }
}

fn one(operation: Operation, outcome: Value) -> Result<Written, IndexError> {
    let answer = answer(200, &json!({"took": 1, "errors": true, "items": [{ "update": outcome }]}));
    of_bulk(&server(), &[operation], 99, &answer).unwrap().remove(0)
}

fn failed(status: u16, kind: &str, reason: &str) -> IndexError {
    one(put(), json!({"status": status, "error": {"type": kind, "reason": reason}})).unwrap_err()
}

fn said_of(error: &IndexError) -> String {
    error.source().unwrap().to_string()
}

#[test]
fn results_are_told_from_each_other() {
    for result in ["created", "updated", "deleted"] {
        let outcome = json!({"_index": "pets", "_id": "S=a", "_version": 3, "result": result, "status": 200});
        assert_eq!(one(put(), outcome).unwrap(), Written::Applied);
    }
    assert_eq!(one(put(), json!({"status": 200, "result": "noop"})).unwrap(), Written::Stale);
    let missing =
        json!({"status": 404, "error": {"type": "document_missing_exception", "reason": "[S=a]: document missing"}});
    assert_eq!(one(remove(), missing.clone()).unwrap(), Written::Applied);
    assert!(one(put(), missing).is_err(), "a put makes what is missing");
}

#[test]
fn failures_are_classed_by_what_helps() {
    type Case = (u16, &'static str, fn(&IndexError) -> bool, bool);
    let cases: [Case; 11] = [
        (409, "version_conflict_engine_exception", |e| matches!(e, IndexError::Conflict { .. }), false),
        (429, "es_rejected_execution_exception", |e| matches!(e, IndexError::Throttled { .. }), false),
        (503, "unavailable_shards_exception", |e| matches!(e, IndexError::Failed { .. }), false),
        (500, "null_pointer_exception", |e| matches!(e, IndexError::Failed { .. }), false),
        (408, "", |e| matches!(e, IndexError::Failed { .. }), false),
        (400, "index_closed_exception", |e| matches!(e, IndexError::Blocked { .. }), false),
        (403, "cluster_block_exception", |e| matches!(e, IndexError::Denied { .. }), false),
        (404, "index_not_found_exception", |e| matches!(e, IndexError::NoSuchIndex { .. }), false),
        (400, "mapper_parsing_exception", |e| matches!(e, IndexError::Refused { .. }), true),
        (400, "strict_dynamic_mapping_exception", |e| matches!(e, IndexError::Refused { .. }), true),
        (413, "document_too_large", |e| matches!(e, IndexError::Refused { .. }), true),
    ];
    for (status, kind, is, reject) in cases {
        let error = failed(status, kind, "whatever");
        assert!(is(&error) && error.is_reject() == reject, "{status} {kind}: {error:?}");
    }
}

#[test]
fn a_server_without_scripts_is_a_setup_to_mend() {
    let cause = json!({"type": "illegal_argument_exception", "reason": "cannot execute [inline] scripts"});
    let error = json!({"type": "illegal_argument_exception", "reason": "failed to execute script", "caused_by": cause});
    let error = one(put(), json!({"status": 400, "error": error})).unwrap_err();
    assert!(matches!(error, IndexError::NoScripts { .. }) && !error.is_reject());
}

#[test]
fn what_says_nothing_of_the_document_does_not_reject_it() {
    let outcome = |error: Value| one(put(), json!({"status": 400, "error": error})).unwrap_err();
    let breaker = json!({"type": "circuit_breaking_exception", "reason": "Too many dynamic script compilations within, max: [75/5m]"});
    let general =
        json!({"type": "general_script_exception", "reason": "Failed to compile inline script", "caused_by": breaker});
    let error = outcome(
        json!({"type": "illegal_argument_exception", "reason": "failed to execute script", "caused_by": general}),
    );
    assert!(matches!(error, IndexError::Throttled { .. }) && !error.is_reject());
    // Versions of Elasticsearch and OpenSearch give it different kinds.
    for kind in ["validation_exception", "illegal_argument_exception"] {
        let reason = "Validation Failed: 1: this action would add [2] shards, but this cluster currently has [1000]/[1000] maximum normal shards open;";
        let error = outcome(json!({"type": kind, "reason": reason}));
        assert!(matches!(error, IndexError::Blocked { .. }) && !error.is_reject());
    }
    let error =
        outcome(json!({"type": "illegal_argument_exception", "reason": "script_lang not supported [painless]"}));
    assert!(matches!(error, IndexError::NoScripts { .. }));
}

#[test]
fn requests_fail_as_a_whole() {
    let whole = |status, body: Value| of_bulk(&server(), &[put(), remove()], 99, &answer(status, &body)).unwrap_err();
    assert!(matches!(whole(413, json!({})), IndexError::TooLarge { bytes: 99, .. }));
    assert!(matches!(whole(413, json!("Request Entity Too Large")), IndexError::TooLarge { .. }));
    assert!(matches!(whole(429, json!({"error": "429 Too Many Requests /_bulk"})), IndexError::Throttled { .. }));
    assert!(matches!(whole(401, json!({"message": "no"})), IndexError::Denied { .. }));
    assert!(matches!(whole(502, json!(null)), IndexError::Failed { .. }));
    assert!(matches!(whole(302, json!({})), IndexError::Failed { .. }));
    assert!(matches!(whole(200, json!({"items": "none"})), IndexError::Failed { .. }));
    let refused = json!({"error": {"type": "action_request_validation_exception", "reason": "id is too long"}});
    assert!(whole(400, refused).is_reject());
    // Whoever answers in this way knows nothing of documents: a web server, a proxy, another port.
    for status in [400, 405, 407, 411, 418] {
        let page = json!("<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>");
        assert!(matches!(whole(status, page), IndexError::Failed { .. }), "{status}");
        assert!(matches!(whole(status, json!({"error": "no"})), IndexError::Failed { .. }), "{status}");
    }
}

#[test]
fn reads_and_new_indexes() {
    let read = |status, body: Value| of_read(&server(), "pets", &answer(status, &body));
    assert_eq!(read(200, json!({"found": true, "_source": {"a": 1}})).unwrap(), json!({"a": 1}).as_object().cloned());
    assert_eq!(read(404, json!({"_index": "pets", "_id": "S=a", "found": false})).unwrap(), None);
    let no_index =
        json!({"error": {"type": "index_not_found_exception", "reason": "no such index [pets]"}, "status": 404});
    let error = read(404, no_index).unwrap_err();
    assert!(matches!(error, IndexError::NoSuchIndex { .. }));
    assert_eq!(said_of(&error), "HTTP status 404: index_not_found_exception: index `pets`");
    let create = |status, kind: &str| of_create(&server(), "pets", &answer(status, &json!({"error": {"type": kind}})));
    assert_eq!(create(200, "").unwrap(), Created::New);
    assert_eq!(create(400, "resource_already_exists_exception").unwrap(), Created::Existed);
    assert!(create(400, "mapper_parsing_exception").unwrap_err().is_reject());
}

#[test]
fn reasons_name_fields_and_never_values() {
    let cases = [
        (
            "failed to parse field [weightKg] of type [float] in document with id 'S=SECRET'. Preview of field's value: 'SECRET'",
            "field `weightKg` of type `float`",
        ),
        (
            "[1:57] failed to parse field [a.b] of type [date] in document with id 'SECRET'",
            "field `a.b` of type `date`",
        ),
        (
            "object mapping for [owner] tried to parse field [owner] as object, but found a concrete value",
            "field `owner` is an object in the mapping",
        ),
        (
            "mapping set to strict, dynamic introduction of [SSN] within [_doc] is not allowed",
            "field `SSN` is not in the strict mapping",
        ),
        (
            "mapper [age] cannot be changed from type [long] to [text]",
            "field `age` cannot change from type `long` to `text`",
        ),
        ("Limit of total fields [1000] has been exceeded while adding new fields [3]", "limit of `1000` fields"),
        (
            "Document contains at least one immense term in field=\"notes\" (whose UTF8 encoding is longer than the max length 32766), the prefix is: '[83, 69, 67, 82]...', original message: SECRET",
            "a term of field `notes` is too long for its type",
        ),
        ("Invalid index name [Pets], must be lowercase", "index name `Pets`"),
    ];
    for (reason, expected) in cases {
        let said = said_of(&failed(400, "mapper_parsing_exception", reason));
        assert_eq!(said, format!("HTTP status 400: mapper_parsing_exception: {expected}"));
    }
    for reason in [
        "failed to parse date field [SECRET] with format [strict_date_optional_time]",
        "For input string: \"SECRET\"",
        "Preview of field's value: 'failed to parse field [SECRET]'",
        "[S=SECRET]: version conflict, required seqNo [1]",
        "[SECRET] failed to parse field [x]",
        "Unrecognized token 'SECRET'",
        "failed to parse field [",
        "",
    ] {
        let said = said_of(&failed(400, "mapper_parsing_exception", reason));
        assert_eq!(said, "HTTP status 400: mapper_parsing_exception", "{reason}");
    }
    let cause = json!({"type": "illegal_argument_exception", "reason": "For input string: \"SECRET\""});
    let error = json!({"type": "SECRET SECRET", "reason": "SECRET", "caused_by": cause});
    let error = one(put(), json!({"status": 400, "error": error})).unwrap_err();
    assert_eq!(said_of(&error), "HTTP status 400: illegal_argument_exception");
    assert!(!format!("{error:?} {error}").contains("SECRET"));
}
