//! What a mapping refuses: as much of it as tests need.

use serde_json::{Map, Value};

use super::store::{Source, Trouble, trouble};

/// The rules for names, written down again from the server's documentation.
pub(super) fn is_index_name(name: &str) -> bool {
    let legal = |c: char| !c.is_uppercase() && !r#"\/*?"<>| ,#:"#.contains(c);
    !name.is_empty() && name.len() <= 255 && !name.starts_with(['-', '_', '+']) && name.chars().all(legal)
}

/// Refuses a document that does not fit, in the server's words, which quote the value.
pub(super) fn check(mappings: &Value, id: &str, source: &Source) -> Result<(), Trouble> {
    let strict = mappings.get("dynamic").is_some_and(|dynamic| dynamic == "strict");
    let Some(properties) = mappings.get("properties").and_then(Value::as_object) else { return Ok(()) };
    Checked { id, strict }.object("", properties, source)
}

struct Checked<'a> {
    id: &'a str,
    strict: bool,
}

impl Checked<'_> {
    fn object(&self, prefix: &str, properties: &Map<String, Value>, source: &Source) -> Result<(), Trouble> {
        source.iter().try_for_each(|(name, value)| match properties.get(name) {
            Some(mapping) => self.field(&format!("{prefix}{name}"), mapping, value),
            None if self.strict => {
                let reason =
                    format!("mapping set to strict, dynamic introduction of [{name}] within [_doc] is not allowed");
                Err(trouble(400, "strict_dynamic_mapping_exception", reason))
            }
            None => Ok(()),
        })
    }

    fn field(&self, path: &str, mapping: &Value, value: &Value) -> Result<(), Trouble> {
        if let (Some(properties), Value::Object(inner)) = (mapping.get("properties").and_then(Value::as_object), value)
        {
            return self.object(&format!("{path}."), properties, inner);
        }
        let kind = mapping.get("type").and_then(Value::as_str).unwrap_or("object");
        let elements = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        if elements.iter().all(|element| fits(kind, element)) {
            return Ok(());
        }
        let Self { id, .. } = self;
        let reason = format!(
            "failed to parse field [{path}] of type [{kind}] in document with id '{id}'. Preview of field's value: '{value}'"
        );
        let mut refused = trouble(400, "mapper_parsing_exception", reason);
        let cause = trouble(400, "illegal_argument_exception", format!("For input string: {value}"));
        refused.error["caused_by"] = cause.error;
        Err(refused)
    }
}

fn fits(kind: &str, value: &Value) -> bool {
    match (kind, value) {
        (_, Value::Null) => true,
        ("long" | "integer" | "short" | "float" | "double", Value::Number(_)) => true,
        // `coerce` is on by default.
        ("long" | "integer" | "short" | "float" | "double", Value::String(text)) => text.parse::<f64>().is_ok(),
        ("boolean", value) => value.is_boolean() || value == "true" || value == "false",
        ("date", value) => value.is_number() || value.is_string(),
        ("object", value) => value.is_object(),
        ("long" | "integer" | "short" | "float" | "double", _) => false,
        (_, value) => !value.is_object(),
    }
}
