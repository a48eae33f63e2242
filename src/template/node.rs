//! Values of a template, each with its place.

use std::{fmt, sync::Arc};

/// Where something stands in a file: line and column, both counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A value and where it stands.
///
/// Where an intrinsic function was resolved, the place is that of the function: there the value is used.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands.
    pub place: Place,
    /// What stands there.
    pub value: Value,
}

/// What a template says somewhere.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Nothing.
    Null,
    /// Text, a number or a boolean. CloudFormation takes `"10"` for `10`, and so do we.
    Scalar(Scalar),
    /// A list.
    List(Arc<[Node]>),
    /// Entries in the order of the file.
    Map(Arc<[Entry]>),
    /// Something of another resource, which only the deployment knows.
    Resource(Reference),
    /// What cannot be known from the template: a parameter without default, an import, a function that is not evaluated. Holds
    /// what it was, for people: `Ref StreamArn`.
    Unknown(Arc<str>),
}

/// A scalar as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// The text. Where a part of it is unknown, that part reads `${Name}`.
    pub text: Arc<str>,
    /// Whether the text may mean a number, a boolean or null: it was not quoted, or has a tag such as `!!int`.
    pub plain: bool,
    /// Whether all of the text is known.
    pub whole: bool,
}

impl Scalar {
    /// The integer that YAML 1.1 reads, if it does.
    pub(crate) fn integer(&self) -> Option<i64> {
        let text = self.text.replace('_', "");
        let digits = text.strip_prefix(['-', '+']).unwrap_or(&text);
        let (digits, radix) = match digits.as_bytes() {
            [b'0', b'x', ..] => (&digits[2..], 16),
            [b'0', b'b', ..] => (&digits[2..], 2),
            [b'0', _, ..] => (&digits[1..], 8),
            _ => (digits, 10),
        };
        let is_number = self.plain && digits.chars().all(|digit| digit.is_digit(radix));
        let size = i64::from_str_radix(digits, radix).ok().filter(|_| is_number)?;
        Some(if text.starts_with('-') { -size } else { size })
    }

    /// The boolean that YAML 1.1 reads, if it does.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match &*self.text {
            "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
            "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
            _ => None,
        }
        .filter(|_| self.plain)
    }
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Arc<str>,
    /// Where the key stands.
    pub place: Place,
    /// The value.
    pub value: Node,
}

impl Entry {
    /// Whether it stands for entries that only the deployment knows: `Fn::Transform`, `Fn::ForEach`.
    pub fn adds_unknown(&self) -> bool {
        self.key.starts_with("Fn::") && matches!(self.value.value, Value::Unknown(_))
    }
}

/// `Ref` or `Fn::GetAtt` to a resource of the same template.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// The logical id.
    pub resource: Arc<str>,
    /// The attribute, or nothing for `Ref`.
    pub attribute: Option<Arc<str>>,
}

/// As `Fn::Sub` would name it: `${Table.StreamArn}`.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.attribute {
            Some(attribute) => write!(f, "${{{}.{attribute}}}", self.resource),
            None => write!(f, "${{{}}}", self.resource),
        }
    }
}

impl Node {
    pub(super) fn text(place: Place, text: impl Into<Arc<str>>) -> Self {
        Self { place, value: Value::Scalar(Scalar { text: text.into(), plain: false, whole: true }) }
    }

    pub(super) fn unknown(place: Place, about: impl Into<Arc<str>>) -> Self {
        Self { place, value: Value::Unknown(about.into()) }
    }

    /// The value of a key of a map. What is within an unknown value is unknown, and so is what a map lacks that others add to.
    pub fn get(&self, key: &str) -> Option<&Node> {
        if matches!(self.value, Value::Unknown(_)) {
            return Some(self);
        }
        self.entry(key).or_else(|| self.entries().iter().find(|entry| entry.adds_unknown())).map(|entry| &entry.value)
    }

    /// The value at the end of a path of keys.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// A key of a map with its place. Of keys that are written twice, the last one counts.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().rev().find(|entry| &*entry.key == key)
    }

    /// The entries of a map; none of anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The elements of a list; none of anything else.
    pub fn elements(&self) -> &[Node] {
        match &self.value {
            Value::List(nodes) => nodes,
            _ => &[],
        }
    }

    /// The elements of a list, or the value itself where one value stands for a list of one, as in `Action: sqs:SendMessage`.
    pub fn one_or_more(&self) -> &[Node] {
        match &self.value {
            Value::List(nodes) => nodes,
            Value::Null => &[],
            _ => std::slice::from_ref(self),
        }
    }

    /// The scalar, if it is one, known or in part.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The text of a scalar that is known as a whole.
    pub fn as_str(&self) -> Option<&str> {
        self.scalar().filter(|scalar| scalar.whole).map(|scalar| &*scalar.text)
    }

    /// The reference, if it is one.
    pub fn reference(&self) -> Option<&Reference> {
        match &self.value {
            Value::Resource(reference) => Some(reference),
            _ => None,
        }
    }

    /// Whether nothing is said about this value in the template.
    pub fn is_unknown(&self) -> bool {
        matches!(self.value, Value::Unknown(_)) || self.scalar().is_some_and(|scalar| !scalar.whole)
    }

    /// Whether this value or any within is unknown.
    pub fn has_unknown(&self) -> bool {
        self.is_unknown()
            || self.elements().iter().any(Node::has_unknown)
            || self.entries().iter().any(|entry| entry.value.has_unknown())
    }
}
