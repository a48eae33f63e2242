//! The `update` operation, and the one script that the double knows.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::store::{Check, IndexState, Source, Trouble, trouble};
use crate::sink::index::SCRIPT;

/// Updates a document by a part of it, or by our script, and says what came of it.
pub(super) fn update(index: &mut IndexState, id: &str, body: &Source) -> Result<&'static str, Trouble> {
    let stored = index.get(id).map(|stored| stored.source.clone());
    match (body.get("script"), body.get("doc"), stored) {
        (Some(script), _, Some(source)) => run(index, id, script, Context { op: "index", source }),
        (Some(script), _, None) if flag(body, "scripted_upsert") => {
            let source = upsert(id, body)?.clone();
            run(index, id, script, Context { op: "create", source })
        }
        (None, Some(Value::Object(part)), Some(mut source)) => {
            if merge(&mut source, part) {
                index.put(id, source, Check::Internal)
            } else {
                Ok("noop")
            }
        }
        (None, Some(Value::Object(part)), None) if flag(body, "doc_as_upsert") => {
            index.put(id, part.clone(), Check::Internal)
        }
        (_, _, None) => index.put(id, upsert(id, body)?.clone(), Check::Internal),
        _ => Err(trouble(400, "action_request_validation_exception", "script or doc is missing")),
    }
}

fn flag(body: &Source, name: &str) -> bool {
    body.get(name).is_some_and(|value| value == true)
}

fn upsert<'b>(id: &str, body: &'b Source) -> Result<&'b Source, Trouble> {
    let missing = || trouble(404, "document_missing_exception", format!("[{id}]: document missing"));
    body.get("upsert").and_then(Value::as_object).ok_or_else(missing)
}

/// Takes over the fields of a part, objects by their fields; answers whether anything changed.
fn merge(source: &mut Source, part: &Source) -> bool {
    let mut changed = false;
    for (name, value) in part {
        changed |= match (source.get_mut(name), value) {
            (Some(Value::Object(inner)), Value::Object(part)) => merge(inner, part),
            (Some(old), value) if old == value => false,
            _ => {
                source.insert(name.clone(), value.clone());
                true
            }
        };
    }
    changed
}

/// What a script sees as `ctx`.
struct Context {
    op: &'static str,
    source: Source,
}

fn run(index: &mut IndexState, id: &str, script: &Value, mut ctx: Context) -> Result<&'static str, Trouble> {
    let painless = script.get("lang").is_none_or(|lang| lang == "painless");
    if !painless || script.get("source").and_then(Value::as_str) != Some(SCRIPT) {
        let mut refused = trouble(400, "illegal_argument_exception", "failed to execute script");
        let cause = trouble(400, "script_exception", "compile error: the double knows one script only");
        refused.error["caused_by"] = cause.error;
        return Err(refused);
    }
    interpret(&mut ctx, &script["params"])?;
    match ctx.op {
        "none" => Ok("noop"),
        "delete" => index.delete(id, Check::Internal).map(|_| "deleted"),
        _ => index.put(id, ctx.source, Check::Internal),
    }
}

/// The script, statement by statement.
fn interpret(ctx: &mut Context, params: &Value) -> Result<(), Trouble> {
    let text = |name: &str| {
        let missing = || trouble(400, "illegal_argument_exception", "failed to execute script");
        params[name].as_str().ok_or_else(missing)
    };
    let (field, version) = (text("field")?, text("version")?);
    let v = ctx.source.get(field).filter(|value| !value.is_null());
    if v.is_some_and(|v| v.as_str().is_none_or(|v| v >= version)) {
        ctx.op = "none";
    } else if params["document"].is_null() {
        ctx.op = if ctx.op == "create" { "none" } else { "delete" };
    } else {
        let document = params["document"].as_object().cloned().unwrap_or_default();
        ctx.source.clear();
        ctx.source.extend(document);
        ctx.source.insert(field.to_owned(), version.into());
        if let Some(tombstone) = params["tombstone"].as_str() {
            ctx.source.insert(tombstone.to_owned(), now().into());
        }
    }
    Ok(())
}

/// `ctx._now`: milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
