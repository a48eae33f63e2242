//! What can be wrong with a payload, a record, an image; never with a word of what users stored in it.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

/// The payload is no batch of a DynamoDB stream: a failure of the whole invocation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The payload is longer than 4 GiB, which no event source delivers.
    #[error("the payload has {bytes} bytes, more than the 4 GiB that can be read")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The payload is something else than a JSON object.
    #[error(
        "the payload is {found}, not a JSON object with `Records`; \
         invoke the function with a DynamoDB Streams event, or through an event source mapping"
    )]
    NotAnObject {
        /// What it is instead.
        found: Kind,
    },
    /// The payload's own structure is broken, outside of its records.
    #[error("the payload is broken JSON at byte {at}, outside of its records")]
    Malformed {
        /// The offset of the byte where reading failed.
        at: usize,
    },
    /// There is no `Records` key.
    #[error(
        "the payload has no `Records` (its keys are: {}); it is no event of a stream: \
         check what invokes this function",
        listed(keys)
    )]
    NoRecords {
        /// The keys it has, at most eight.
        keys: Vec<String>,
    },
    /// There are two `Records` keys, and neither can be dropped.
    #[error("the payload has `Records` twice; records would be lost if either were left out")]
    RecordsTwice,
    /// `Records` is there and holds no list.
    #[error("`Records` is {found}, not an array; check what invokes this function")]
    RecordsNotAnArray {
        /// What it is instead.
        found: Kind,
    },
    /// The records come from another service.
    #[error(
        "the records come from `{service}`, not from `aws:dynamodb`; \
         map this function to a DynamoDB stream, or read such events with a function of their own"
    )]
    OtherService {
        /// The `eventSource` of the first record.
        service: String,
    },
    /// A field of the tumbling window has another form than AWS documents.
    #[error("`{field}` of the tumbling window is not {expected}")]
    BadWindow {
        /// The key, at the top of the payload or in `window`.
        field: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
}

fn listed(keys: &[String]) -> String {
    if keys.is_empty() { "none".to_owned() } else { keys.join(", ") }
}

/// The kinds of JSON values, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// `{..}`
    Object,
    /// `[..]`
    Array,
    /// `".."`
    String,
    /// `12.5`
    Number,
    /// `true` or `false`
    Boolean,
    /// `null`
    Null,
    /// Nothing at all.
    Nothing,
    /// Not JSON.
    Other,
}

impl Kind {
    /// The kind of the value whose first byte is the first of `bytes`.
    pub(super) fn of(bytes: &[u8]) -> Self {
        match bytes.first() {
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            Some(b'"') => Self::String,
            Some(b'-' | b'0'..=b'9') => Self::Number,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'n') => Self::Null,
            Some(_) => Self::Other,
            None => Self::Nothing,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::String => "a string",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::Null => "null",
            Self::Nothing => "empty",
            Self::Other => "not JSON",
        })
    }
}

/// A record whose envelope cannot be read: where, why, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct RecordError {
    path: String,
    reason: RecordReason,
}

impl RecordError {
    pub(super) fn new(path: String, reason: RecordReason) -> Self {
        Self { path, reason }
    }

    /// The JSON path from the top of the payload, such as `Records[3].dynamodb.SequenceNumber`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong there.
    pub fn reason(&self) -> &RecordReason {
        &self.reason
    }

    /// What to do about it, where that is known.
    pub fn help(&self) -> Option<&'static str> {
        self.reason.help()
    }
}

/// Why a record's envelope cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordReason {
    /// The JSON is broken.
    #[error("broken JSON: {what}")]
    Syntax {
        /// What the parser says, without content.
        what: String,
    },
    /// The payload ends inside the record, or where a record or the end of `Records` should be.
    #[error("the payload ends before its records do")]
    Truncated,
    /// What follows the record is neither another record nor the end of `Records`, so its end is uncertain.
    #[error("the record is not followed by another one or by the end of `Records`")]
    UncertainEnd,
    /// A value of another kind.
    #[error("expected {expected}, found {found}")]
    WrongKind {
        /// What it has to be.
        expected: Kind,
        /// What it is.
        found: Kind,
    },
    /// A field without which a change cannot be handled.
    #[error("`{field}` is missing")]
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A field that is there twice: two records may have run together.
    #[error("`{field}` is there twice")]
    Duplicate {
        /// Its name.
        field: &'static str,
    },
    /// An event name other than `INSERT`, `MODIFY` and `REMOVE`.
    #[error("the event name is none of INSERT, MODIFY, REMOVE")]
    UnknownEventName,
    /// A view type other than the four that DynamoDB has.
    #[error("the stream view type is none of KEYS_ONLY, NEW_IMAGE, OLD_IMAGE, NEW_AND_OLD_IMAGES")]
    UnknownViewType,
    /// A sequence number that is not 1 to 40 digits.
    #[error("the sequence number is not 1 to 40 digits")]
    BadSequenceNumber,
    /// A row of a snapshot whose time is none.
    #[error("the sequence number of a row of a snapshot is not a time in microseconds since 1970")]
    BadReadTime,
    /// A record of another service among those of the stream.
    #[error("the event source is not `aws:dynamodb`")]
    OtherService,
    /// A string with a broken escape sequence or invalid UTF-8.
    #[error("the string is not valid UTF-8 or has a broken escape")]
    BadText,
}

impl RecordReason {
    fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::Missing { field: "SequenceNumber" } | Self::BadSequenceNumber => {
                "Lambda can only be told to redeliver from a sequence number: whatever makes these events must supply one"
            }
            Self::Missing { .. } | Self::UnknownEventName | Self::UnknownViewType | Self::WrongKind { .. } => {
                "compare the event with AWS's sample event for DynamoDB Streams"
            }
            Self::Syntax { .. } | Self::Truncated | Self::UncertainEnd | Self::Duplicate { .. } | Self::BadText => {
                "the payload was damaged on its way, or was not written by a JSON library"
            }
            Self::BadReadTime => "write rows of a snapshot with `RecordParts::snapshot`",
            Self::OtherService => "map this function to a DynamoDB stream only",
        })
    }
}

/// An image, or a part of one, that cannot be read into the type that was asked for.
///
/// The message has the JSON path and the kinds of things, never a value: those are users' data. What a type's own
/// `Deserialize` said is kept apart in [`detail`](Self::detail), because it may quote values.
#[derive(thiserror::Error)]
#[error("{}{}{}", .0.path, if .0.path.is_empty() { "" } else { ": " }, .0.reason)]
pub struct DecodeError(Box<Parts>);

struct Parts {
    path: String,
    offset: Option<usize>,
    reason: DecodeReason,
    detail: Option<String>,
}

impl DecodeError {
    #[cold]
    pub(super) fn new(reason: DecodeReason) -> Self {
        Self(Box::new(Parts { path: String::new(), offset: None, reason, detail: None }))
    }

    /// An error at an offset of the image.
    #[cold]
    pub(super) fn at(reason: DecodeReason, offset: usize) -> Self {
        Self::new(reason).or_at(offset)
    }

    /// The same error with an offset, unless it has one: the innermost wins.
    #[cold]
    pub(super) fn or_at(mut self, offset: usize) -> Self {
        self.0.offset.get_or_insert(offset);
        self
    }

    pub(super) fn offset(&self) -> Option<usize> {
        self.0.offset
    }

    pub(super) fn with_path(mut self, path: String) -> Self {
        self.0.path = path;
        self
    }

    /// The JSON path from the top of the payload, such as `Records[3].dynamodb.NewImage.tags.L[2].N`.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// What is wrong there.
    pub fn reason(&self) -> &DecodeReason {
        &self.0.reason
    }

    /// What to do about it, where that is known.
    pub fn help(&self) -> Option<&'static str> {
        self.0.reason.help()
    }

    /// What the type's own `Deserialize` said. It may quote users' data: do not log it above `TRACE`.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodeError")
            .field("path", &self.0.path)
            .field("reason", &self.0.reason)
            .finish_non_exhaustive()
    }
}

/// Why an image cannot be read into a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeReason {
    /// The record has no such image.
    #[error("the record has no {image}")]
    MissingImage {
        /// `NewImage` or `OldImage`.
        image: &'static str,
    },
    /// The image is not JSON as DynamoDB writes it.
    #[error("broken JSON: expected {expected}")]
    Syntax {
        /// What should have stood there.
        expected: &'static str,
    },
    /// The image is not valid UTF-8.
    #[error("invalid UTF-8")]
    InvalidUtf8,
    /// A string has a broken escape sequence or half of a surrogate pair.
    #[error("a string has a broken escape sequence")]
    BadEscape,
    /// An attribute value without one of the ten type tags.
    #[error("expected one of the type tags S, N, B, BOOL, NULL, M, L, SS, NS, BS")]
    UnknownTag,
    /// An attribute value with more than one type tag.
    #[error("more than one type tag")]
    ExtraTag,
    /// An attribute of another type than the Rust type reads.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// What the Rust type reads.
        expected: String,
        /// What stands there: a type tag or the kind of a value.
        found: &'static str,
    },
    /// A value of the right type that the Rust type does not accept.
    #[error("the value is not {expected}")]
    WrongValue {
        /// What the Rust type accepts.
        expected: String,
    },
    /// A list, set or map of another length than the Rust type has.
    #[error("{length} elements, expected {expected}")]
    WrongLength {
        /// How many there are.
        length: usize,
        /// What the Rust type accepts.
        expected: String,
    },
    /// More elements or variants than the Rust type takes.
    #[error("more elements than the type takes")]
    TooMany,
    /// The text of a number is none.
    #[error("the text is not a number")]
    NotANumber,
    /// A number with a fraction, read into an integer.
    #[error("the number has a fraction, and the field is an integer")]
    NotAnInteger,
    /// A number beyond the range of the Rust type.
    #[error("the number is out of range for {target}")]
    OutOfRange {
        /// The Rust type.
        target: &'static str,
    },
    /// Binary data that is not base64.
    #[error("invalid base64")]
    BadBase64,
    /// Values nested deeper than 64 levels; DynamoDB allows 32.
    #[error("nested deeper than 64 levels")]
    TooDeep,
    /// An attribute that the Rust type requires.
    #[error("attribute `{name}` is missing")]
    MissingAttribute {
        /// The field of the Rust type.
        name: &'static str,
    },
    /// An attribute that is there twice.
    #[error("attribute `{name}` is there twice")]
    DuplicateAttribute {
        /// The field of the Rust type.
        name: &'static str,
    },
    /// An attribute that the Rust type refuses (`deny_unknown_fields`).
    #[error("attribute `{name}` is unknown")]
    UnknownAttribute {
        /// The attribute.
        name: String,
    },
    /// A variant that the Rust enum does not have.
    #[error("unknown variant, expected one of: {}", expected.join(", "))]
    UnknownVariant {
        /// The variants it has.
        expected: &'static [&'static str],
    },
    /// The type's own `Deserialize` refused the value; see [`DecodeError::detail`].
    #[error("{}", said.unwrap_or("the type's own check refused the value"))]
    Refused {
        /// What serde itself says in such a case, which quotes no value.
        said: Option<&'static str>,
    },
}

impl DecodeReason {
    fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::MissingImage { .. } => {
                "set the table's StreamViewType to NEW_AND_OLD_IMAGES, or name the view that the table has in the router"
            }
            Self::MissingAttribute { .. } => "make the field an Option, or give it #[serde(default)]",
            Self::NotAnInteger | Self::OutOfRange { .. } => {
                "use a wider type, or anabranch::record::Number for exact text"
            }
            Self::UnknownAttribute { .. } => "remove #[serde(deny_unknown_fields)], or add the field",
            _ => return None,
        })
    }
}

/// What serde's own derive macros say through `custom`: no value is quoted in these.
const SERDE_SAYS: [&str; 3] =
    ["data did not match any variant of untagged enum", "can only flatten structs and maps", "no variant of enum"];

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        let said = SERDE_SAYS.into_iter().find(|known| message.starts_with(known));
        let mut error = Self::new(DecodeReason::Refused { said });
        error.0.detail = Some(message);
        error
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(DecodeReason::WrongType { expected: expected.to_string(), found: kind(&found) })
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(DecodeReason::WrongValue { expected: expected.to_string() })
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(DecodeReason::WrongLength { length, expected: expected.to_string() })
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(DecodeReason::UnknownVariant { expected })
    }

    fn unknown_field(name: &str, _: &'static [&'static str]) -> Self {
        Self::new(DecodeReason::UnknownAttribute { name: name.to_owned() })
    }

    fn missing_field(name: &'static str) -> Self {
        Self::new(DecodeReason::MissingAttribute { name })
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self::new(DecodeReason::DuplicateAttribute { name })
    }
}

/// The kind of what serde found, without the value that `Unexpected` would print.
fn kind(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a number with a fraction",
        Unexpected::Char(_) | Unexpected::Str(_) => "a string",
        Unexpected::Bytes(_) => "binary data",
        Unexpected::Unit | Unexpected::Option => "NULL",
        Unexpected::Seq => "a list or set",
        Unexpected::Map => "a map",
        Unexpected::Enum
        | Unexpected::UnitVariant
        | Unexpected::NewtypeVariant
        | Unexpected::TupleVariant
        | Unexpected::StructVariant => "an enum variant",
        Unexpected::NewtypeStruct | Unexpected::Other(_) => "something else",
    }
}
