//! A builder for the filters that streams are mostly used with: what is built is right by its types, and free of traps.

use serde_json::{Map, Value, json};

use crate::record::{EventName, Number};

use super::{criteria::Pattern, error::PatternError};

/// The service that deletes items by their time to live (ESM-14).
const TTL_PRINCIPAL: &str = "dynamodb.amazonaws.com";

/// Builds a pattern.
///
/// All that is asked must hold. For alternatives give a mapping several patterns.
///
/// ```
/// use anabranch::{pattern::{Filter, attribute}, record::EventName};
///
/// let pattern = Filter::new()
///     .events([EventName::Insert])
///     .new_image(attribute("entityType").is("PET"))
///     .keys(attribute("PK").begins_with("USER#"))
///     .build()?;
/// assert_eq!(
///     pattern.as_str(),
///     r#"{"dynamodb":{"Keys":{"PK":{"S":[{"prefix":"USER#"}]}},"NewImage":{"entityType":{"S":["PET"]}}},"eventName":["INSERT"]}"#
/// );
/// assert!(pattern.warnings().is_empty());
/// # Ok::<(), anabranch::pattern::PatternError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    pattern: Map<String, Value>,
    either: Map<String, Value>,
}

impl Filter {
    /// A filter that asks for nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only these kinds of change.
    #[must_use]
    pub fn events(mut self, names: impl IntoIterator<Item = EventName>) -> Self {
        let names: Vec<Value> = names.into_iter().map(|name| name.as_str().into()).collect();
        put(&mut self.pattern, ["eventName"], names);
        self
    }

    /// Only changes of items with such a key attribute, whatever the view of the stream.
    #[must_use]
    pub fn keys(self, condition: Condition) -> Self {
        self.part("Keys", condition)
    }

    /// Only changes after which the item has such an attribute. Never a removal.
    #[must_use]
    pub fn new_image(self, condition: Condition) -> Self {
        self.part("NewImage", condition)
    }

    /// Only changes before which the item had such an attribute. Never an insertion.
    #[must_use]
    pub fn old_image(self, condition: Condition) -> Self {
        self.part("OldImage", condition)
    }

    /// Only changes of which one image satisfies this condition, and all others given here: the new image, or the old one.
    ///
    /// That keeps removals, and items that have ceased to be what is asked for.
    #[must_use]
    pub fn either_image(mut self, condition: Condition) -> Self {
        put(&mut self.either, condition.path.iter().map(|name| &**name), condition.alternatives);
        self
    }

    /// Only what the table's time to live has removed.
    #[must_use]
    pub fn time_to_live_only(mut self) -> Self {
        put(&mut self.pattern, ["userIdentity", "type"], vec!["Service".into()]);
        put(&mut self.pattern, ["userIdentity", "principalId"], vec![TTL_PRINCIPAL.into()]);
        self
    }

    /// Nothing that the table's time to live has removed.
    #[must_use]
    pub fn without_time_to_live(mut self) -> Self {
        // Changes by users have no identity, and anything-but asks for one (ESM-24).
        let others = vec![json!({"exists": false}), json!({"anything-but": [TTL_PRINCIPAL]})];
        put(&mut self.pattern, ["userIdentity", "principalId"], others);
        self
    }

    /// The pattern.
    ///
    /// # Errors
    /// Nothing was asked for, a list of alternatives is empty, or the pattern is too long.
    pub fn build(self) -> Result<Pattern, PatternError> {
        let Self { mut pattern, either } = self;
        if !either.is_empty() {
            let branches = ["NewImage", "OldImage"].map(|image| json!({"dynamodb": {image: either}}));
            pattern.insert("$or".to_owned(), Value::from_iter(branches));
        }
        Pattern::parse(&Value::Object(pattern).to_string())
    }

    fn part(mut self, part: &str, condition: Condition) -> Self {
        let path = ["dynamodb", part].into_iter().chain(condition.path.iter().map(|name| &**name));
        put(&mut self.pattern, path, condition.alternatives);
        self
    }
}

/// Puts alternatives at a path; those that stand there give way.
fn put<'a>(pattern: &mut Map<String, Value>, path: impl IntoIterator<Item = &'a str>, alternatives: Vec<Value>) {
    let mut path: Vec<&str> = path.into_iter().collect();
    let last = path.pop().expect("a path has a name");
    let mut fields = pattern;
    for name in path {
        let below = fields.entry(name).or_insert_with(|| Value::Object(Map::new()));
        fields = below.as_object_mut().expect("a type descriptor stands between fields and alternatives");
    }
    fields.insert(last.to_owned(), alternatives.into());
}

/// An attribute of an item, to ask something of.
///
/// A name with a dot stands for itself and for a nested field alike (ESM-24).
pub fn attribute(name: impl Into<String>) -> Attribute {
    Attribute { path: vec![name.into()] }
}

/// See [`attribute`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    path: Vec<String>,
}

/// What is asked of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    path: Vec<String>,
    alternatives: Vec<Value>,
}

impl Attribute {
    /// The attribute of this name in a map.
    #[must_use]
    pub fn member(mut self, name: impl Into<String>) -> Self {
        self.path.extend(["M".to_owned(), name.into()]);
        self
    }

    /// It is this text, number or boolean. A number must be written as the table holds it.
    pub fn is(self, value: impl Into<Scalar>) -> Condition {
        let Scalar { kind, value } = value.into();
        self.condition(kind, vec![value])
    }

    /// It is one of these texts.
    pub fn is_one_of<S: Into<String>>(self, texts: impl IntoIterator<Item = S>) -> Condition {
        self.condition("S", texts.into_iter().map(|text| text.into().into()).collect())
    }

    /// It is a text, but none of these.
    pub fn is_none_of<S: Into<String>>(self, texts: impl IntoIterator<Item = S>) -> Condition {
        let texts: Vec<String> = texts.into_iter().map(Into::into).collect();
        self.condition("S", vec![json!({"anything-but": texts})])
    }

    /// It is this text, in whatever case.
    pub fn is_in_any_case(self, text: impl Into<String>) -> Condition {
        self.condition("S", vec![json!({"equals-ignore-case": text.into()})])
    }

    /// It is a text that begins so.
    pub fn begins_with(self, prefix: impl Into<String>) -> Condition {
        self.condition("S", vec![json!({"prefix": prefix.into()})])
    }

    /// It is a text that ends so.
    pub fn ends_with(self, suffix: impl Into<String>) -> Condition {
        self.condition("S", vec![json!({"suffix": suffix.into()})])
    }

    /// It is a set of texts, and this is one of them.
    pub fn contains(self, text: impl Into<String>) -> Condition {
        self.condition("SS", vec![text.into().into()])
    }

    /// It is there, and of this type.
    pub fn exists(self, kind: Type) -> Condition {
        self.condition(kind.descriptor(), vec![json!({"exists": true})])
    }

    /// It is not there, or not of this type. For several types ask several times.
    pub fn is_absent(self, kind: Type) -> Condition {
        self.condition(kind.descriptor(), vec![json!({"exists": false})])
    }

    fn condition(mut self, kind: &str, alternatives: Vec<Value>) -> Condition {
        self.path.push(kind.to_owned());
        Condition { path: self.path, alternatives }
    }
}

/// The types of attributes that have a value to ask for: all but maps and lists, of which a pattern sees the members only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `S`
    Text,
    /// `N`
    Number,
    /// `B`
    Binary,
    /// `BOOL`
    Bool,
    /// `NULL`
    Null,
    /// `SS`
    Texts,
    /// `NS`
    Numbers,
    /// `BS`
    Binaries,
}

impl Type {
    fn descriptor(self) -> &'static str {
        match self {
            Self::Text => "S",
            Self::Number => "N",
            Self::Binary => "B",
            Self::Bool => "BOOL",
            Self::Null => "NULL",
            Self::Texts => "SS",
            Self::Numbers => "NS",
            Self::Binaries => "BS",
        }
    }
}

/// A text, a number or a boolean, with the type that it has in an item: numbers are texts there (ESM-22).
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    kind: &'static str,
    value: Value,
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Self { kind: "S", value: text.into() }
    }
}

impl From<String> for Scalar {
    fn from(text: String) -> Self {
        Self { kind: "S", value: text.into() }
    }
}

impl From<bool> for Scalar {
    fn from(value: bool) -> Self {
        Self { kind: "BOOL", value: value.into() }
    }
}

impl From<&Number> for Scalar {
    fn from(number: &Number) -> Self {
        Self { kind: "N", value: number.as_str().into() }
    }
}

macro_rules! integers {
    ($($integer:ident)*) => {$(
        impl From<$integer> for Scalar {
            fn from(number: $integer) -> Self {
                Self { kind: "N", value: number.to_string().into() }
            }
        }
    )*};
}

integers! { u8 u16 u32 u64 i8 i16 i32 i64 }
