//! The body of a bulk request: two lines for each operation.

use serde::Serialize;
use serde_json::value::RawValue;

use super::Operation;
use crate::sink::index::{SCRIPT, operation::Action};

/// How often the server itself tries again when another writes the same document at the same time.
const CONFLICT_RETRIES: u8 = 3;

#[derive(Serialize)]
struct Target<'a> {
    update: Place<'a>,
}

#[derive(Serialize)]
struct Place<'a> {
    #[serde(rename = "_index")]
    index: &'a str,
    #[serde(rename = "_id")]
    id: &'a str,
    retry_on_conflict: u8,
}

/// Without `upsert` a document that is not there is an error of its own, which is how a remove tells "was not there"
/// from "is newer".
#[derive(Serialize)]
struct Update<'a> {
    script: Script<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scripted_upsert: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upsert: Option<Empty>,
}

#[derive(Serialize)]
struct Script<'a> {
    lang: &'static str,
    source: &'static str,
    params: Params<'a>,
}

#[derive(Serialize)]
struct Params<'a> {
    field: &'a str,
    version: &'a str,
    document: Option<&'a RawValue>,
    tombstone: Option<&'a str>,
}

#[derive(Serialize)]
struct Empty {}

/// The body of a request for these operations.
pub(super) fn of(operations: &[Operation]) -> Vec<u8> {
    let mut body = Vec::with_capacity(operations.iter().map(Operation::wire_size).sum());
    for operation in operations {
        let place = Place { index: &operation.index, id: operation.id.as_str(), retry_on_conflict: CONFLICT_RETRIES };
        line(&mut body, &Target { update: place });
        line(&mut body, &update(operation));
    }
    body
}

fn update(operation: &Operation) -> Update<'_> {
    let (document, tombstone) = match &operation.action {
        Action::Put(document) => (Some(&**document), None),
        Action::Remove => (None, None),
        Action::Bury => (Some(nothing()), Some(&*operation.fields.removed_at)),
    };
    let params = Params { field: &operation.fields.version, version: &operation.version, document, tombstone };
    let upserts = document.is_some();
    Update {
        script: Script { lang: "painless", source: SCRIPT, params },
        scripted_upsert: upserts.then_some(true),
        upsert: upserts.then_some(Empty {}),
    }
}

fn nothing() -> &'static RawValue {
    serde_json::from_str("{}").expect("an object")
}

fn line(body: &mut Vec<u8>, line: &impl Serialize) {
    serde_json::to_writer(&mut *body, line).expect("a vector takes everything, and all names are strings");
    body.push(b'\n');
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::sink::{
        index::{DocumentId, Fields},
        table::{item, text},
    };

    fn operations() -> [Operation; 3] {
        let id = DocumentId::of(&item([("PK", text("a\"\\\u{1}"))]));
        let fields = Fields::default();
        [
            Operation::put("pets", id.clone(), "2", &json!({"name": "Rex"}), &fields).unwrap(),
            Operation::remove("pets", id.clone(), "3", &fields),
            Operation::bury("pets", id, "4", &fields),
        ]
    }

    #[test]
    fn operations_are_scripted_updates() {
        let body = String::from_utf8(of(&operations())).unwrap();
        assert!(body.ends_with('\n'));
        let lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let place = json!({"update": {"_index": "pets", "_id": "S=a\"\\%01", "retry_on_conflict": 3}});
        let script = |params| json!({"lang": "painless", "source": SCRIPT, "params": params});
        let put = json!({"field": "anabranchVersion", "version": "2", "document": {"name": "Rex"}, "tombstone": null});
        let remove = json!({"field": "anabranchVersion", "version": "3", "document": null, "tombstone": null});
        let bury =
            json!({"field": "anabranchVersion", "version": "4", "document": {}, "tombstone": "anabranchRemovedAt"});
        let upserts = |params| json!({"script": script(params), "scripted_upsert": true, "upsert": {}});
        let expected =
            [place.clone(), upserts(put), place.clone(), json!({"script": script(remove)}), place, upserts(bury)];
        assert_eq!(lines, expected);
    }

    #[test]
    fn the_wire_size_covers_the_lines() {
        for operation in operations() {
            let bytes = of(std::slice::from_ref(&operation)).len();
            assert!((bytes..bytes + 400).contains(&operation.wire_size()), "{bytes} {}", operation.wire_size());
        }
    }
}
