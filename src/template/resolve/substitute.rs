//! `Fn::Sub` and `Fn::Join`: text put together.

use super::Resolver;
use crate::template::{Node, Place, Scalar, Value};

impl Resolver<'_> {
    pub(super) fn substitute(&self, place: Place, argument: &Node) -> Option<Node> {
        let (template, variables) = match argument.elements() {
            [template, variables] => (template.as_str()?, Some(variables)),
            _ => (argument.as_str()?, None),
        };
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((before, name, behind)) = placeholder(rest) {
            parts.push(Node::text(place, before));
            parts.push(self.variable(place, name.trim(), variables)?);
            rest = behind;
        }
        parts.push(Node::text(place, rest));
        joined(place, &parts, "")
    }

    fn variable(&self, place: Place, name: &str, variables: Option<&Node>) -> Option<Node> {
        if let Some(literal) = name.strip_prefix('!') {
            return Some(Node::text(place, format!("${{{literal}}}")));
        }
        if let Some(variable) = variables.and_then(|variables| variables.get(name)) {
            return self.resolve(variable);
        }
        match name.split_once('.') {
            Some((resource, attribute)) => {
                let found = self.attribute_of(place, resource, attribute);
                Some(found.unwrap_or_else(|| Node::unknown(place, name)))
            }
            None => {
                let mut found = self.refer(place, name)?;
                if let Value::Unknown(about) = &mut found.value {
                    *about = name.into();
                }
                Some(found)
            }
        }
    }
}

/// The text before the first placeholder, its name, and the text behind it.
fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("${")?;
    let (name, behind) = rest.split_once('}')?;
    Some((before, name, behind))
}

/// The parts as one text. A single reference among empty texts stays what it is.
pub(super) fn joined(place: Place, parts: &[Node], separator: &str) -> Option<Node> {
    let is_empty = |node: &&Node| node.as_str() == Some("");
    let mut said = parts.iter().filter(|node| !is_empty(node));
    if let (Some(only), None) = (said.next(), said.next())
        && (separator.is_empty() || parts.len() == 1)
        && only.scalar().is_none()
    {
        return Some(Node { place, value: only.value.clone() });
    }
    let mut whole = true;
    let mut texts = Vec::with_capacity(parts.len());
    for part in parts {
        texts.push(match &part.value {
            Value::Scalar(scalar) => {
                whole &= scalar.whole;
                scalar.text.to_string()
            }
            Value::Resource(reference) => {
                whole = false;
                reference.to_string()
            }
            // It may end in a part behind.
            Value::Unknown(about) if about.contains("{{resolve:") => about.to_string(),
            Value::Unknown(about) => {
                whole = false;
                format!("${{{about}}}")
            }
            Value::Null | Value::List(_) | Value::Map(_) => return None,
        });
    }
    let text = texts.join(separator).into();
    Some(Node { place, value: Value::Scalar(Scalar { text, plain: false, whole }) })
}
