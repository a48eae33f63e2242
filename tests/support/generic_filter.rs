//! The filter language once more, as anybody would write it: over a record that has been parsed to a `serde_json::Value`.
//!
//! It is what the matcher is tested against, and what its instructions are compared with.

#![allow(dead_code, reason = "each user has its own part of it")]

use std::collections::BTreeMap;

use serde_json::Value;

/// A pattern without `$or`.
#[derive(Clone, Default)]
struct Fields(BTreeMap<String, Field>);

/// What is asked of the values of a field, and of the fields below it.
#[derive(Clone, Default)]
struct Field {
    alternatives: Option<Vec<Value>>,
    below: Fields,
}

/// A pattern, read.
pub(crate) struct Generic {
    branches: Vec<Fields>,
}

impl Generic {
    pub(crate) fn parse(pattern: &str) -> Self {
        let pattern: Value = serde_json::from_str(pattern).expect("JSON");
        let mut branches = vec![Fields::default()];
        expand(&pattern, &mut Vec::new(), &mut branches);
        Self { branches }
    }

    pub(crate) fn matches(&self, record: &Value) -> bool {
        self.branches.iter().any(|fields| all(fields, Some(record), &mut Path { root: record, names: Vec::new() }))
    }
}

/// Puts the fields of a pattern into every branch, and makes a branch of each object of `$or`.
fn expand(pattern: &Value, path: &mut Vec<String>, branches: &mut Vec<Fields>) {
    for (name, value) in pattern.as_object().expect("an object") {
        match value {
            Value::Array(objects) if name == "$or" => {
                let before = std::mem::take(branches);
                for object in objects {
                    let mut own = before.clone();
                    expand(object, path, &mut own);
                    branches.extend(own);
                }
            }
            value => {
                path.push(name.clone());
                match value {
                    Value::Object(_) => expand(value, path, branches),
                    alternatives => branches.iter_mut().for_each(|branch| put(branch, path, alternatives)),
                }
                path.pop();
            }
        }
    }
}

fn put(fields: &mut Fields, path: &[String], alternatives: &Value) {
    let [name, rest @ ..] = path else { unreachable!("a path has a name") };
    let field = fields.0.entry(name.clone()).or_default();
    match rest {
        [] => field.alternatives = alternatives.as_array().cloned(),
        rest => put(&mut field.below, rest, alternatives),
    }
}

/// Where matching stands.
struct Path<'a> {
    root: &'a Value,
    names: Vec<&'a str>,
}

/// Whether all fields hold for a value that is no array.
fn all<'a>(fields: &'a Fields, value: Option<&'a Value>, path: &mut Path<'a>) -> bool {
    fields.0.iter().all(|(name, field)| {
        path.names.push(name);
        let holds = one(field, value.and_then(|value| value.get(name)), path);
        path.names.pop();
        holds
    })
}

/// Whether a value is what a field asks for, or an element of it is, or the field may be missing.
fn one<'a>(field: &'a Field, value: Option<&'a Value>, path: &mut Path<'a>) -> bool {
    if let Some(Value::Array(elements)) = value {
        return elements.iter().any(|element| one(field, Some(element), path)) || one(field, None, path);
    }
    let holds_here = |alternatives: &Vec<Value>| match value {
        None | Some(Value::Object(_)) => {
            alternatives.iter().any(|one| one["exists"] == false) && !has_leaf(path.root, &path.names)
        }
        Some(leaf) => alternatives.iter().any(|one| holds(one, leaf)),
    };
    field.alternatives.as_ref().is_none_or(holds_here) && (field.below.0.is_empty() || all(&field.below, value, path))
}

fn has_leaf(value: &Value, names: &[&str]) -> bool {
    match (value, names) {
        (Value::Array(elements), _) => elements.iter().any(|element| has_leaf(element, names)),
        (Value::Object(members), [name, rest @ ..]) => members.get(*name).is_some_and(|value| has_leaf(value, rest)),
        (Value::Object(_), []) => false,
        (_, names) => names.is_empty(),
    }
}

fn holds(alternative: &Value, leaf: &Value) -> bool {
    let Value::Object(operator) = alternative else { return equal(alternative, leaf) };
    let (name, operand) = operator.iter().next().expect("an operator");
    match &**name {
        "exists" => *operand == true,
        "anything-but" => match operand {
            Value::Object(test) => {
                !test.iter().any(|(name, texts)| listed(texts).iter().any(|text| test_of(name, text, leaf)))
            }
            values => !listed(values).iter().any(|value| equal(value, leaf)),
        },
        "numeric" => leaf.as_f64().is_some_and(|number| numeric(operand.as_array().expect("terms"), number)),
        name => test_of(name, operand, leaf),
    }
}

fn listed(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), |values| values)
}

fn equal(a: &Value, b: &Value) -> bool {
    if a.is_number() { a.as_f64() == b.as_f64() } else { a == b }
}

fn numeric(terms: &[Value], number: f64) -> bool {
    terms.chunks(2).all(|term| {
        let limit = term[1].as_f64().expect("a number");
        match term[0].as_str() {
            Some("=") => number == limit,
            Some(">") => number > limit,
            Some(">=") => number >= limit,
            Some("<") => number < limit,
            _ => number <= limit,
        }
    })
}

fn test_of(name: &str, operand: &Value, leaf: &Value) -> bool {
    let Some(text) = leaf.as_str() else { return false };
    match (name, operand) {
        ("prefix", Value::Object(inner)) => {
            text.to_lowercase().starts_with(&inner["equals-ignore-case"].as_str().expect("a text").to_lowercase())
        }
        ("suffix", Value::Object(inner)) => {
            text.to_lowercase().ends_with(&inner["equals-ignore-case"].as_str().expect("a text").to_lowercase())
        }
        (_, operand) => {
            let operand = operand.as_str().expect("a text");
            match name {
                "prefix" => text.starts_with(operand),
                "suffix" => text.ends_with(operand),
                "equals-ignore-case" => text.to_lowercase() == operand.to_lowercase(),
                "wildcard" => wildcard(operand, text),
                other => panic!("no operator {other}"),
            }
        }
    }
}

/// By backtracking, without escapes.
fn wildcard(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| wildcard(&pattern[1..], &text[at..]))
        }
        Some(first) => text.strip_prefix(first).is_some_and(|rest| wildcard(&pattern[first.len_utf8()..], rest)),
    }
}
