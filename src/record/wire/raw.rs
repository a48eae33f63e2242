//! One record of a batch, split from its payload and not yet decoded.

use std::{fmt, str};

use bytes::Bytes;

use super::{
    envelope,
    error::{DecodeError, DecodeReason},
    image::{Image, Part},
    lane,
    origin::{self, Origin},
    span::Span,
    timestamp::Timestamp,
};

/// What happened to the item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventName {
    /// The item did not exist before.
    Insert,
    /// The item existed and was written again.
    Modify,
    /// The item was deleted.
    Remove,
}

impl EventName {
    /// The name in an event: `INSERT`, `MODIFY` or `REMOVE`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Modify => "MODIFY",
            Self::Remove => "REMOVE",
        }
    }

    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        match text {
            b"INSERT" => Some(Self::Insert),
            b"MODIFY" => Some(Self::Modify),
            b"REMOVE" => Some(Self::Remove),
            _ => None,
        }
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the table's stream carries of each change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ViewType {
    /// Only the keys of the item.
    KeysOnly,
    /// The item after the change.
    NewImage,
    /// The item before the change.
    OldImage,
    /// Both.
    NewAndOldImages,
}

impl ViewType {
    /// The name in an event, such as `NEW_AND_OLD_IMAGES`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeysOnly => "KEYS_ONLY",
            Self::NewImage => "NEW_IMAGE",
            Self::OldImage => "OLD_IMAGE",
            Self::NewAndOldImages => "NEW_AND_OLD_IMAGES",
        }
    }

    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        match text {
            b"KEYS_ONLY" => Some(Self::KeysOnly),
            b"NEW_IMAGE" => Some(Self::NewImage),
            b"OLD_IMAGE" => Some(Self::OldImage),
            b"NEW_AND_OLD_IMAGES" => Some(Self::NewAndOldImages),
            _ => None,
        }
    }
}

impl fmt::Display for ViewType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who made a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause<'a> {
    /// Somebody who writes to the table.
    User,
    /// The table's time to live deleted the item.
    TimeToLive,
    /// Another service, by its principal.
    Service(&'a str),
}

/// One record of a batch: its envelope read, its images left as they stand in the payload.
///
/// Cloning shares the payload, copies 136 bytes and allocates nothing. The record keeps its payload alive.
///
/// `Debug` shows the envelope only: images are users' data.
#[derive(Clone)]
pub struct RawRecord {
    /// The payload, or the record's own buffer if its envelope had escapes to resolve.
    body: Bytes,
    envelope: Envelope,
}

/// Who is behind a record.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Author {
    /// Somebody who writes to the table.
    #[default]
    User,
    /// Another service, by its principal.
    Service,
    /// Nobody: the row of a snapshot is no change.
    Snapshot,
}

/// Where the parts of a record stand, and those that are small enough to be kept.
#[derive(Clone, Default)]
pub(super) struct Envelope {
    pub(super) record: Span,
    pub(super) event_id: Span,
    pub(super) sequence_number: Span,
    pub(super) source_arn: Span,
    pub(super) region: Span,
    pub(super) principal: Span,
    pub(super) keys: Span,
    pub(super) new_image: Span,
    pub(super) old_image: Span,
    pub(super) created_at: Span,
    pub(super) size_bytes: Span,
    /// The offset of the value that [`Split::watching`](super::Split::watching) names, in each image, or 0.
    pub(super) watched_new: u32,
    pub(super) watched_old: u32,
    pub(super) position: u32,
    pub(super) event_name: Option<EventName>,
    pub(super) view_type: Option<ViewType>,
    pub(super) author: Author,
    /// Whether a text has escapes that are still to be resolved.
    pub(super) escaped: bool,
}

impl Envelope {
    /// The texts that are handed out as they stand in the buffer.
    pub(super) fn texts(&mut self) -> [&mut Span; 5] {
        [&mut self.event_id, &mut self.sequence_number, &mut self.source_arn, &mut self.region, &mut self.principal]
    }

    /// Every place in the buffer.
    pub(super) fn spans(&mut self) -> [&mut Span; 11] {
        let Self { record, event_id, sequence_number, source_arn, region, principal, .. } = self;
        let Self { keys, new_image, old_image, created_at, size_bytes, .. } = self;
        [
            record,
            event_id,
            sequence_number,
            source_arn,
            region,
            principal,
            keys,
            new_image,
            old_image,
            created_at,
            size_bytes,
        ]
    }
}

/// The principal that deletes items by their time to live.
pub(super) const TTL_PRINCIPAL: &str = "dynamodb.amazonaws.com";

impl RawRecord {
    /// A record of which nothing is read yet; not to be handed out.
    #[inline(always)]
    pub(super) fn blank(body: Bytes, position: u32) -> Self {
        Self { body, envelope: Envelope { position, ..Envelope::default() } }
    }

    #[inline(always)]
    pub(super) fn envelope_mut(&mut self) -> &mut Envelope {
        &mut self.envelope
    }

    /// Moves the record to a buffer of its own, in which its texts have no escapes.
    #[cold]
    pub(super) fn resolve(&mut self) {
        self.body = envelope::resolve(&self.body, &mut self.envelope).into();
    }

    /// Its index in the batch, from 0.
    pub fn position(&self) -> usize {
        self.envelope.position as usize
    }

    /// What happened to the item.
    pub fn event_name(&self) -> EventName {
        self.envelope.event_name.expect("a record without an event name is not yielded")
    }

    /// The globally unique id of the change; it carries no order.
    pub fn event_id(&self) -> Option<&str> {
        self.text(self.envelope.event_id)
    }

    /// The number that Lambda checkpoints by: 1 to 40 digits, compared as a number, within one shard.
    ///
    /// Of a row of a snapshot the time of its read, in microseconds since 1970: rows that were read together share it.
    pub fn sequence_number(&self) -> &str {
        self.text(self.envelope.sequence_number).expect("a record without a sequence number is not yielded")
    }

    /// The item's key attributes; no attributes if the record has none, as some test events do.
    pub fn keys(&self) -> Image<'_> {
        Image::new(&self.body, self.envelope.keys, self.envelope.position, Part::Keys)
    }

    /// The item after the change, if the record carries it. An image without attributes counts as none: items have keys.
    pub fn new_image(&self) -> Option<Image<'_>> {
        self.image(self.envelope.new_image, self.envelope.watched_new, Part::NewImage)
    }

    /// The item before the change, if the record carries it. An image without attributes counts as none.
    pub fn old_image(&self) -> Option<Image<'_>> {
        self.image(self.envelope.old_image, self.envelope.watched_old, Part::OldImage)
    }

    /// The ARN of the stream.
    pub fn source_arn(&self) -> Option<&str> {
        self.text(self.envelope.source_arn)
    }

    /// The AWS region of the stream.
    pub fn region(&self) -> Option<&str> {
        self.text(self.envelope.region)
    }

    /// When the change happened, approximately: whole seconds on DynamoDB Streams. Never a version.
    ///
    /// Nothing if the record does not say, or says it in no number between the years 1678 and 2262.
    pub fn created_at(&self) -> Option<Timestamp> {
        Timestamp::parse_seconds(self.text(self.envelope.created_at)?)
    }

    /// Where the record comes from.
    pub fn origin(&self) -> Origin {
        match self.envelope.author {
            Author::User | Author::Service => Origin::Stream,
            Author::Snapshot => {
                let read_at = origin::time_of(self.sequence_number().as_bytes());
                Origin::Snapshot { read_at: read_at.expect("the time of a snapshot is checked when it is read") }
            }
        }
    }

    /// What the stream carries of each change.
    pub fn view_type(&self) -> Option<ViewType> {
        self.envelope.view_type
    }

    /// The size of the record in bytes as DynamoDB counts it. Nothing if the record does not say it in a whole number.
    pub fn size_bytes(&self) -> Option<u64> {
        self.text(self.envelope.size_bytes)?.parse().ok()
    }

    /// Who made the change; a user, as far as a snapshot can tell.
    pub fn cause(&self) -> Cause<'_> {
        match self.text(self.envelope.principal) {
            Some(TTL_PRINCIPAL) if self.envelope.author == Author::Service => Cause::TimeToLive,
            Some(principal) => Cause::Service(principal),
            None => Cause::User,
        }
    }

    /// The whole record as it came, for a dead letter. JSON as far as it was well-formed: strings inside of images are
    /// checked only when they are decoded.
    pub fn json(&self) -> &[u8] {
        &self.body[self.envelope.record.range()]
    }

    /// The same, sharing the payload.
    pub fn json_bytes(&self) -> Bytes {
        self.body.slice(self.envelope.record.range())
    }

    /// A hash of the item's typed key: records of one item have one lane.
    ///
    /// It depends on the names, types and values of the key attributes, not on their order, whitespace or escapes. Two
    /// items may share a lane, which costs concurrency and nothing else. Stable within a process, not across versions.
    pub fn lane(&self) -> u64 {
        let keys = self.envelope.keys;
        if keys.is_absent() { 0 } else { lane::of(&self.body, keys.start()) }
    }

    /// The error of a handler that needs an image which this record does not have.
    pub fn missing_image(&self, part: Part) -> DecodeError {
        let path = part.path(self.envelope.position);
        DecodeError::new(DecodeReason::MissingImage { image: part.name() }).with_path(path)
    }

    fn image(&self, span: Span, watched: u32, part: Part) -> Option<Image<'_>> {
        let image = Image::new(&self.body, span.present()?, self.envelope.position, part);
        Some(image.with_watched(watched))
    }

    fn text(&self, span: Span) -> Option<&str> {
        let bytes = &self.body[span.present()?.range()];
        Some(str::from_utf8(bytes).expect("the strings of an envelope are checked when it is read"))
    }
}

impl fmt::Debug for RawRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRecord")
            .field("position", &self.position())
            .field("event_name", &self.event_name())
            .field("sequence_number", &self.sequence_number())
            .field("event_id", &self.event_id())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_small_and_travels_between_threads() {
        fn travels<T: Send + Sync + 'static>() {}
        travels::<RawRecord>();
        assert!(size_of::<RawRecord>() <= 136, "{}", size_of::<RawRecord>());
    }
}
