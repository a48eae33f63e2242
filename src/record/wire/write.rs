//! Writes events as Lambda delivers them, from parts.

use std::{borrow::Cow, collections::HashMap, fmt};

use bytes::Bytes;
use serde::Serialize;

use super::{
    error::DecodeError,
    image::{Image, RawImage},
    members::Members,
    origin::{self, Origin},
    raw::{EventName, RawRecord, ViewType},
    split::split,
    timestamp::Timestamp,
    unreadable::UnreadableRecord,
    window::TumblingWindow,
};

/// The parts of a record, each of which may be missing or wrong: what was read elsewhere is written as it was, and the reader
/// judges it.
///
/// ```
/// use std::collections::HashMap;
///
/// use anabranch::record::wire::RecordParts;
/// use serde_dynamo::{AttributeValue, Item};
///
/// let keys = HashMap::from([("PK".to_owned(), AttributeValue::S("USER#1".to_owned()))]);
/// let record = RecordParts {
///     event_name: Some("REMOVE".into()),
///     sequence_number: Some("111".into()),
///     keys: Some(Item::from(keys).into()),
///     ..RecordParts::default()
/// }
/// .into_record()?;
/// assert_eq!(record.keys().attribute("PK")?.as_deref(), Some("USER#1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct RecordParts<'a> {
    /// Whether it is a change, or a row of a snapshot: then the time of its read stands in place of a sequence number.
    pub origin: Origin,
    /// The globally unique id of the change.
    pub event_id: Option<Cow<'a, str>>,
    /// `INSERT`, `MODIFY` or `REMOVE`.
    pub event_name: Option<Cow<'a, str>>,
    /// The region of the stream.
    pub region: Option<Cow<'a, str>>,
    /// The ARN of the stream.
    pub source_arn: Option<Cow<'a, str>>,
    /// When the change happened.
    pub created_at: Option<Timestamp>,
    /// The item's key attributes.
    pub keys: Option<ItemJson>,
    /// The item after the change.
    pub new_image: Option<ItemJson>,
    /// The item before the change.
    pub old_image: Option<ItemJson>,
    /// 1 to 40 digits; not of a snapshot.
    pub sequence_number: Option<Cow<'a, str>>,
    /// The size of the record.
    pub size_bytes: Option<u64>,
    /// Such as `NEW_AND_OLD_IMAGES`.
    pub view_type: Option<Cow<'a, str>>,
    /// Who made the change, if it was no user.
    pub identity: Option<Identity<'a>>,
}

/// An item as DynamoDB JSON. Cloning shares the text.
#[derive(Clone, PartialEq, Eq)]
pub struct ItemJson(Bytes);

impl ItemJson {
    /// Takes a text for an item; the reader judges it.
    pub fn from_json(json: impl Into<Vec<u8>>) -> Self {
        Self(Bytes::from(json.into()))
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// These attributes of an item, as they stand in it: its keys, for example. Those that it lacks are left out.
    ///
    /// ```
    /// use anabranch::record::{RawRecord, wire::ItemJson};
    /// # use bytes::Bytes;
    /// # let payload = Bytes::from_static(br#"{"Records":[{"eventName":"INSERT","dynamodb":{"SequenceNumber":"111",
    /// #   "NewImage":{"PK":{"S":"USER#1"},"age":{"N":"36"},"SK":{"S":"PROFILE"}}}}]}"#);
    ///
    /// let record = anabranch::record::split(payload)?.next().expect("one record")?;
    /// let keys = ItemJson::select(record.new_image().expect("an insert has one"), &["PK", "SK"])?;
    /// assert_eq!(keys.as_bytes(), br#"{"PK":{"S":"USER#1"},"SK":{"S":"PROFILE"}}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Broken JSON around the attributes.
    pub fn select(image: Image<'_>, names: &[impl AsRef<str>]) -> Result<Self, DecodeError> {
        let (json, mut selected) = (image.json(), Vec::new());
        let mut attributes = ObjectWriter::open(&mut selected);
        let mut members = Members::of(json, 0);
        while let Some(member) = members.next().map_err(|at| image.broken(at))? {
            if names.iter().any(|name| *name.as_ref() == *member.name) {
                attributes.quoted_key(&member.name);
                attributes.json.extend_from_slice(&json[member.value]);
            }
        }
        attributes.close();
        Ok(Self(selected.into()))
    }
}

impl fmt::Debug for ItemJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemJson").field("bytes", &self.0.len()).finish_non_exhaustive()
    }
}

impl From<Bytes> for ItemJson {
    /// Shares a text with whatever it is a part of.
    fn from(json: Bytes) -> Self {
        Self(json)
    }
}

impl From<RawImage> for ItemJson {
    fn from(image: RawImage) -> Self {
        Self(image.json().clone())
    }
}

impl From<&serde_dynamo::Item> for ItemJson {
    fn from(item: &serde_dynamo::Item) -> Self {
        Self(serde_json::to_vec(item).expect("every attribute value is JSON").into())
    }
}

impl From<serde_dynamo::Item> for ItemJson {
    fn from(item: serde_dynamo::Item) -> Self {
        Self::from(&item)
    }
}

/// Who made a change, if it was no user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Identity<'a> {
    /// `Service`
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Cow<'a, str>>,
    /// `dynamodb.amazonaws.com` for the table's time to live.
    #[serde(rename = "principalId", skip_serializing_if = "Option::is_none")]
    pub principal: Option<Cow<'a, str>>,
}

impl RecordParts<'_> {
    /// A row as it was read from the table at a time, in place of a change of the stream: see [`Origin::Snapshot`].
    ///
    /// ```
    /// use anabranch::record::{Origin, Timestamp, Version, wire::{ItemJson, RecordParts}};
    ///
    /// let keys = ItemJson::from_json(r#"{"PK":{"S":"USER#1"}}"#);
    /// let row = ItemJson::from_json(r#"{"PK":{"S":"USER#1"},"name":{"S":"Ada"}}"#);
    /// let read_at = Timestamp::from_nanos(1_763_692_800_250_000_000);
    /// let record = RecordParts::snapshot(keys, row, read_at).into_record()?;
    /// assert_eq!(record.origin(), Origin::Snapshot { read_at });
    /// assert!(Version::of(&record) < Version::stream(0, "", "1"), "any change counts more");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshot(keys: ItemJson, row: ItemJson, read_at: Timestamp) -> Self {
        Self {
            origin: Origin::Snapshot { read_at },
            event_name: Some(EventName::Insert.as_str().into()),
            keys: Some(keys),
            new_image: Some(row),
            view_type: Some(ViewType::NewImage.as_str().into()),
            ..Self::default()
        }
    }

    /// What has become of an item by a time, as an incremental export has it, in place of changes of the stream: see
    /// [`Origin::Snapshot`]. Without an image it is a removal as well, of an item that nobody knows more about.
    ///
    /// ```
    /// use anabranch::record::{EventName, Timestamp, wire::{ItemJson, RecordParts}};
    ///
    /// let keys = ItemJson::from_json(r#"{"PK":{"S":"USER#1"}}"#);
    /// let old = ItemJson::from_json(r#"{"PK":{"S":"USER#1"},"name":{"S":"Ada"}}"#);
    /// let as_of = Timestamp::from_nanos(1_763_692_800_250_000_000);
    /// let record = RecordParts::snapshot_change(keys, Some(old), None, as_of).into_record()?;
    /// assert_eq!(record.event_name(), EventName::Remove);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshot_change(keys: ItemJson, old: Option<ItemJson>, new: Option<ItemJson>, as_of: Timestamp) -> Self {
        let (name, view) = match (&old, &new) {
            (_, None) => (EventName::Remove, ViewType::OldImage),
            (None, Some(_)) => (EventName::Insert, ViewType::NewImage),
            (Some(_), Some(_)) => (EventName::Modify, ViewType::NewAndOldImages),
        };
        Self {
            origin: Origin::Snapshot { read_at: as_of },
            event_name: Some(name.as_str().into()),
            keys: Some(keys),
            new_image: new,
            old_image: old,
            view_type: Some(view.as_str().into()),
            ..Self::default()
        }
    }

    /// The record, as if it had come in a batch of its own.
    ///
    /// # Errors
    /// Parts that make no readable record, such as none at all.
    pub fn into_record(self) -> Result<RawRecord, UnreadableRecord> {
        let mut event = EventWriter::new();
        event.push(&self);
        let mut records = split(event.finish()).expect("a written event is an event");
        records.next().expect("an event with one record has one")
    }

    fn write(&self, json: &mut Vec<u8>) {
        let mut record = ObjectWriter::open(json);
        record.member("eventID", &self.event_id);
        record.member("eventName", &self.event_name);
        record.member("eventVersion", &Some("1.1"));
        record.member("eventSource", &Some(self.origin.event_source()));
        record.member("awsRegion", &self.region);
        record.member("userIdentity", &self.identity);
        record.key("dynamodb");
        self.write_change(record.json);
        record.member("eventSourceARN", &self.source_arn);
        record.close();
    }

    fn write_change(&self, json: &mut Vec<u8>) {
        let mut change = ObjectWriter::open(json);
        if let Some(time) = self.created_at {
            change.key("ApproximateCreationDateTime");
            time.write_seconds(change.json);
        }
        change.item("Keys", &self.keys);
        change.item("NewImage", &self.new_image);
        change.item("OldImage", &self.old_image);
        match self.origin {
            Origin::Stream => change.member("SequenceNumber", &self.sequence_number),
            Origin::Snapshot { read_at } => {
                change.member("SequenceNumber", &Some(origin::micros(read_at).to_string()));
            }
        }
        change.member("SizeBytes", &self.size_bytes);
        change.member("StreamViewType", &self.view_type);
        change.close();
    }
}

/// Writes the payload of an invocation, record by record.
///
/// ```
/// use anabranch::record::wire::{EventWriter, split};
///
/// let payload = EventWriter::new().finish();
/// assert_eq!(payload, r#"{"Records":[]}"#);
/// assert!(split(payload)?.next().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct EventWriter {
    json: Vec<u8>,
    empty: bool,
}

impl EventWriter {
    /// An event without records.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// The same, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        const BEGINNING: &[u8] = b"{\"Records\":[";
        let mut json = Vec::with_capacity(bytes.max(BEGINNING.len()));
        json.extend_from_slice(BEGINNING);
        Self { json, empty: true }
    }

    /// Appends a record.
    pub fn push(&mut self, record: &RecordParts<'_>) {
        self.separate();
        record.write(&mut self.json);
    }

    /// Appends the record of a frame, with these parts of it.
    #[cfg(feature = "export")]
    #[inline]
    pub(crate) fn push_framed<const N: usize>(&mut self, frame: &Frame, parts: [&[u8]; N]) {
        self.separate();
        let (first, pieces) = frame.pieces.split_first().expect("a frame has a first piece");
        self.json.extend_from_slice(first);
        for (piece, part) in pieces.iter().zip(parts) {
            self.json.extend_from_slice(part);
            self.json.extend_from_slice(piece);
        }
    }

    /// Appends a record that is JSON already, such as [`RawRecord::json`].
    pub fn push_json(&mut self, record: &[u8]) {
        self.separate();
        self.json.extend_from_slice(record);
    }

    /// How many bytes the payload has if it is finished now.
    pub fn len(&self) -> usize {
        self.json.len() + 2
    }

    /// Whether it has no records yet.
    pub fn is_empty(&self) -> bool {
        self.empty
    }

    /// The payload.
    pub fn finish(mut self) -> Bytes {
        self.json.extend_from_slice(b"]}");
        self.json.into()
    }

    /// The payload of a batch in a tumbling window.
    pub fn finish_in(mut self, window: &TumblingWindow) -> Bytes {
        self.json.push(b']');
        let mut event = ObjectWriter { json: &mut self.json, first: false };
        event.member("window", &Some(HashMap::from([("start", &window.start), ("end", &window.end)])));
        event.key("state");
        event.json.extend_from_slice(&window.state);
        event.member("shardId", &window.shard_id);
        event.member("eventSourceARN", &window.source_arn);
        event.member("isFinalInvokeForWindow", &Some(window.is_final));
        event.member("isWindowTerminatedEarly", &Some(window.is_terminated_early));
        event.close();
        self.json.into()
    }

    fn separate(&mut self) {
        if !self.empty {
            self.json.push(b',');
        }
        self.empty = false;
    }
}

impl fmt::Debug for EventWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventWriter").field("bytes", &self.len()).finish_non_exhaustive()
    }
}

impl Default for EventWriter {
    fn default() -> Self {
        Self::new()
    }
}

/// A record of which some parts are left open: for records that differ in nothing else.
#[cfg(feature = "export")]
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// What stands before, between and behind the open parts.
    pieces: Vec<Vec<u8>>,
}

#[cfg(feature = "export")]
impl Frame {
    /// The frame of a record that has marks in place of its open parts, in their order in the record: event id, time, keys, new
    /// image, old image.
    ///
    /// # Panics
    /// If a mark is not there.
    pub(crate) fn of(record: &RecordParts<'_>, marks: &[&str]) -> Self {
        let mut json = Vec::new();
        record.write(&mut json);
        let mut pieces = Vec::new();
        for mark in marks {
            let at = memchr::memmem::find(&json, mark.as_bytes()).expect("a mark in its place");
            let behind = json.split_off(at + mark.len());
            json.truncate(at);
            pieces.push(std::mem::replace(&mut json, behind));
        }
        pieces.push(json);
        Self { pieces }
    }
}

/// Writes the members of an object that are there.
struct ObjectWriter<'a> {
    json: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> ObjectWriter<'a> {
    fn open(json: &'a mut Vec<u8>) -> Self {
        json.push(b'{');
        Self { json, first: true }
    }

    fn key(&mut self, name: &str) {
        self.json.extend_from_slice(if self.first { b"\"" } else { b",\"" });
        self.first = false;
        self.json.extend_from_slice(name.as_bytes());
        self.json.extend_from_slice(b"\":");
    }

    /// The same for a name that may need escapes.
    fn quoted_key(&mut self, name: &str) {
        let comma = if self.first { "" } else { "," };
        self.first = false;
        self.json.extend_from_slice(comma.as_bytes());
        serde_json::to_writer(&mut *self.json, name).expect("a text is JSON");
        self.json.push(b':');
    }

    fn member(&mut self, name: &str, value: &Option<impl Serialize>) {
        if let Some(value) = value {
            self.key(name);
            serde_json::to_writer(&mut *self.json, value).expect("texts, numbers and attribute values are all JSON");
        }
    }

    fn item(&mut self, name: &str, item: &Option<ItemJson>) {
        if let Some(ItemJson(json)) = item {
            self.key(name);
            self.json.extend_from_slice(json);
        }
    }

    fn close(self) {
        self.json.push(b'}');
    }
}
