//! The `_bulk` request: lines in, a status per operation out.

use serde_json::{Map, Value, json};

use super::{
    fault::{self, Asked, Fault},
    routes::{Answer, Faults},
    store::{Check, Source, Store, Trouble, trouble},
    update::update,
};

/// One operation of a bulk.
struct Action {
    name: String,
    index: String,
    id: String,
    check: Check,
    source: Source,
}

/// Carries out a bulk, or refuses it as a whole, before anything is done, if it is malformed.
pub(super) fn bulk(store: &mut Store, faults: &mut Faults<'_>, index: Option<&str>, body: &[u8]) -> Answer {
    let actions = match parse(index, body) {
        Ok(actions) => actions,
        Err(Trouble { status, error }) => return (status, json!({"error": error, "status": status})),
    };
    let items: Vec<Value> = actions.into_iter().map(|action| item(store, faults, action)).collect();
    let failed =
        |item: &Value| item.as_object().is_some_and(|item| item.values().any(|one| one.get("error").is_some()));
    let errors = items.iter().any(failed);
    (200, json!({"took": 1, "errors": errors, "items": items}))
}

fn item(store: &mut Store, faults: &mut Faults<'_>, action: Action) -> Value {
    let Action { name, index, id, .. } = &action;
    let outcome = match faults(Asked::Item { index, id }) {
        Fault::Status(status) => Err(Trouble { status, error: fault::error(status) }),
        _ => carry_out(store, &action),
    };
    let mut item = json!({"_index": index, "_id": id});
    match outcome {
        Ok((result, status)) => {
            let stored = store.index(index).ok().and_then(|index| index.get(id));
            item["_version"] = json!(stored.map(|stored| stored.version));
            item["_seq_no"] = json!(stored.map(|stored| stored.sequence));
            item["result"] = json!(result);
            item["status"] = json!(status);
        }
        Err(Trouble { status, error }) => {
            item["status"] = json!(status);
            item["error"] = error;
        }
    }
    Value::Object(Map::from_iter([(name.clone(), item)]))
}

fn carry_out(store: &mut Store, action: &Action) -> Result<(&'static str, u16), Trouble> {
    let index = store.target(&action.index)?;
    let (id, source) = (&action.id, &action.source);
    let result = match action.name.as_str() {
        "create" if index.get(id).is_some() => {
            let reason = format!("[{id}]: version conflict, document already exists");
            return Err(trouble(409, "version_conflict_engine_exception", reason));
        }
        "delete" => {
            if index.delete(id, action.check)? {
                "deleted"
            } else {
                "not_found"
            }
        }
        "update" => update(index, id, source)?,
        _ => index.put(id, source.clone(), action.check)?,
    };
    let status = match result {
        "created" => 201,
        "not_found" => 404,
        _ => 200,
    };
    Ok((result, status))
}

fn parse(index: Option<&str>, body: &[u8]) -> Result<Vec<Action>, Trouble> {
    if body.last() != Some(&b'\n') {
        let reason = "The bulk request must be terminated by a newline [\\n]";
        return Err(trouble(400, "illegal_argument_exception", reason));
    }
    let mut lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut actions = Vec::new();
    while let Some(line) = lines.next() {
        let (name, target) = action_line(line, actions.len() + 1)?;
        let source = match name.as_str() {
            "delete" => Source::new(),
            _ => lines
                .next()
                .and_then(|line| serde_json::from_slice(line).ok())
                .ok_or_else(|| malformed(actions.len()))?,
        };
        let text = |name: &str| target.get(name).and_then(Value::as_str).map(str::to_owned);
        let index = text("_index").or_else(|| index.map(str::to_owned)).ok_or_else(|| malformed(actions.len()))?;
        let id = text("_id").ok_or_else(|| malformed(actions.len()))?;
        actions.push(Action { name, index, id, check: check(&target)?, source });
    }
    Ok(actions)
}

fn action_line(line: &[u8], number: usize) -> Result<(String, Source), Trouble> {
    let line: Source = serde_json::from_slice(line).map_err(|_| malformed(number))?;
    match line.into_iter().next() {
        Some((name, Value::Object(target))) if ["index", "create", "update", "delete"].contains(&name.as_str()) => {
            Ok((name, target))
        }
        _ => Err(malformed(number)),
    }
}

fn malformed(number: usize) -> Trouble {
    let reason = format!("Malformed action/metadata line [{number}], expected START_OBJECT or END_OBJECT");
    trouble(400, "illegal_argument_exception", reason)
}

fn check(target: &Source) -> Result<Check, Trouble> {
    let version = target.get("version").and_then(Value::as_u64).filter(|version| i64::try_from(*version).is_ok());
    match (target.get("version_type").and_then(Value::as_str), version) {
        (None | Some("internal"), _) => Ok(Check::Internal),
        (Some("external"), Some(version)) => Ok(Check::External(version)),
        (Some("external_gte"), Some(version)) => Ok(Check::ExternalOrEqual(version)),
        _ => Err(trouble(400, "action_request_validation_exception", "illegal version for its version type")),
    }
}
