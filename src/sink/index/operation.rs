//! One document's new state, and what came of it.

use std::{fmt, sync::Arc};

use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

use super::{DocumentId, script::SCRIPT};

/// A document, or the body of a request that makes an index.
pub type Document = Map<String, Value>;

/// The fields in which documents carry what is ours. Names that start with `_` belong to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// The version: `anabranchVersion` unless another is chosen.
    pub version: Arc<str>,
    /// Since when a document is a tombstone, in milliseconds since 1970: `anabranchRemovedAt` unless another is chosen.
    pub removed_at: Arc<str>,
}

impl Default for Fields {
    fn default() -> Self {
        Self { version: "anabranchVersion".into(), removed_at: "anabranchRemovedAt".into() }
    }
}

impl Fields {
    /// Adds the mappings of these fields to the body of a request that makes an index: the version is only stored,
    /// not indexed, and the time is a date.
    pub fn map_in(&self, body: &mut Document) {
        let properties = object(object(body, "mappings"), "properties");
        let version = serde_json::json!({"type": "keyword", "index": false, "doc_values": false});
        properties.entry(&*self.version).or_insert(version);
        let time = serde_json::json!({"type": "date", "format": "epoch_millis"});
        properties.entry(&*self.removed_at).or_insert(time);
    }
}

/// The object under `name`, made if it is missing or something else.
fn object<'d>(parent: &'d mut Document, name: &str) -> &'d mut Document {
    let value = parent.entry(name).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it was made one")
}

/// What one document is to become, at a version.
///
/// `Debug` shows index and version, never id or document, which are your users'.
#[derive(Clone)]
pub struct Operation {
    pub(super) index: Arc<str>,
    pub(super) id: DocumentId,
    pub(super) version: String,
    pub(super) action: Action,
    pub(super) fields: Fields,
}

/// What happens to the document.
#[derive(Clone)]
pub(super) enum Action {
    Put(Box<RawValue>),
    Remove,
    Bury,
}

impl Operation {
    /// The document becomes `document`, with the version added.
    ///
    /// # Errors
    /// `document` cannot be written as JSON, or not as an object.
    pub fn put(
        index: impl Into<Arc<str>>,
        id: DocumentId,
        version: impl Into<String>,
        document: &impl Serialize,
        fields: &Fields,
    ) -> Result<Self, NoDocument> {
        Ok(Self::put_raw(index, id, version, to_json(document)?, fields))
    }

    pub(crate) fn put_raw(
        index: impl Into<Arc<str>>,
        id: DocumentId,
        version: impl Into<String>,
        document: Box<RawValue>,
        fields: &Fields,
    ) -> Self {
        Self::new(index, id, version, Action::Put(document), fields)
    }

    /// The document goes, and leaves nothing that a late, older put would lose against.
    pub fn remove(index: impl Into<Arc<str>>, id: DocumentId, version: impl Into<String>, fields: &Fields) -> Self {
        Self::new(index, id, version, Action::Remove, fields)
    }

    /// The document becomes a tombstone, which holds the version and the time and nothing else.
    pub fn bury(index: impl Into<Arc<str>>, id: DocumentId, version: impl Into<String>, fields: &Fields) -> Self {
        Self::new(index, id, version, Action::Bury, fields)
    }

    fn new(
        index: impl Into<Arc<str>>,
        id: DocumentId,
        version: impl Into<String>,
        action: Action,
        fields: &Fields,
    ) -> Self {
        Self { index: index.into(), id, version: version.into(), action, fields: fields.clone() }
    }

    /// The index.
    pub fn index(&self) -> &Arc<str> {
        &self.index
    }

    /// The document's id.
    pub fn id(&self) -> &DocumentId {
        &self.id
    }

    /// The version that it is to have.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The bytes that it takes in the body of a bulk request, or some more.
    pub fn wire_size(&self) -> usize {
        /// Names, braces and numbers around the parts.
        const AROUND: usize = SCRIPT.len() + 256;
        let document = match &self.action {
            Action::Put(document) => document.get().len(),
            Action::Remove | Action::Bury => 4,
        };
        // An id may need escapes: a quote or a backslash two bytes. Control characters are none of it.
        AROUND
            + self.index.len()
            + 2 * self.id.as_str().len()
            + 2 * (self.version.len() + self.fields.version.len() + self.fields.removed_at.len())
            + document
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match &self.action {
            Action::Put(_) => "put",
            Action::Remove => "remove",
            Action::Bury => "bury",
        };
        f.debug_struct("Operation")
            .field("action", &action)
            .field("index", &self.index)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// A value that is no document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoDocument {
    /// It cannot be written as JSON.
    #[error("the document cannot be written as JSON")]
    NotJson,
    /// It is something else than an object.
    #[error("the document is no JSON object; index a struct or a map")]
    NotAnObject,
}

/// A document's JSON on one line.
pub(crate) fn to_json(document: &impl Serialize) -> Result<Box<RawValue>, NoDocument> {
    // What serde says may quote the value.
    let json = serde_json::to_string(document).map_err(|_| NoDocument::NotJson)?;
    if !json.trim_start().starts_with('{') {
        return Err(NoDocument::NotAnObject);
    }
    // A `RawValue` inside may bring line breaks, which end an operation. Inside strings they are escaped.
    let json = if json.contains(['\n', '\r']) { json.replace(['\n', '\r'], " ") } else { json };
    RawValue::from_string(json).map_err(|_| NoDocument::NotJson)
}

/// What an operation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Written {
    /// The document is now as it was to become.
    Applied,
    /// The stored document is of the same version or a later one, and stays.
    Stale,
}

/// Whether an index was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Created {
    /// It was made.
    New,
    /// There was one of that name.
    Existed,
}

/// Whether an index may have this name: up to 255 bytes, no capitals, none of `\/*?"<>|,#:` and whitespace, and not
/// starting with `-`, `_`, `+` or a dot alone.
///
/// ```
/// use anabranch::sink::index::is_index_name;
///
/// assert!(is_index_name("pets-2026.11"));
/// assert!(!is_index_name("Pets") && !is_index_name("_pets") && !is_index_name(""));
/// ```
pub fn is_index_name(name: &str) -> bool {
    let forbidden = |c: char| c.is_uppercase() || c.is_whitespace() || c.is_control() || r#"\/*?"<>|,#:"#.contains(c);
    let starts = name.starts_with(['-', '_', '+']);
    !(name.is_empty() || name.len() > 255 || name == "." || name == ".." || starts || name.contains(forbidden))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_an_object_on_one_line() {
        let raw: Box<RawValue> = serde_json::from_str("{\"a\":\n\"x\\ny\"\r\n}").unwrap();
        let json = to_json(&json!({})).unwrap();
        assert_eq!(json.get(), "{}");
        let nested = std::collections::HashMap::from([("raw", raw)]);
        let json = to_json(&nested).unwrap();
        assert!(!json.get().contains('\n'));
        assert_eq!(serde_json::from_str::<Value>(json.get()).unwrap(), json!({"raw": {"a": "x\ny"}}));
        assert!(matches!(to_json(&[1]), Err(NoDocument::NotAnObject)));
        let keyed = std::collections::HashMap::from([((1, 2), 3)]);
        assert!(matches!(to_json(&keyed), Err(NoDocument::NotJson)));
    }

    #[test]
    fn our_fields_are_mapped_beside_yours() {
        let mut body =
            json!({"mappings": {"properties": {"weightKg": {"type": "double"}}}}).as_object().unwrap().clone();
        Fields::default().map_in(&mut body);
        let properties = &body["mappings"]["properties"];
        assert_eq!(properties["weightKg"]["type"], "double");
        assert_eq!(properties["anabranchVersion"]["index"], false);
        let mut empty = Document::new();
        Fields::default().map_in(&mut empty);
        assert_eq!(empty["mappings"]["properties"]["anabranchRemovedAt"]["type"], "date");
    }

    #[test]
    fn debug_shows_no_document() {
        let id = DocumentId::of(&crate::sink::table::item([("PK", crate::sink::table::text("secret"))]));
        let put = Operation::put("pets", id, "1", &json!({"secret": "secret"}), &Fields::default()).unwrap();
        assert!(!format!("{put:?}").contains("secret"));
    }
}
