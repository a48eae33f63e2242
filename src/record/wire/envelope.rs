//! Reads the envelope of one record and skips its images by their structure.

use std::{borrow::Cow, str};

use super::{
    error::{Kind, RecordReason},
    members::Members,
    raw::{Envelope, EventName, NO_SIZE, ViewType},
    scan::{skip_space, string_end},
    skip,
    span::Span,
    text::unescape,
    timestamp::Timestamp,
};

/// Why a record was not read, and where.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) reason: FaultReason,
}

#[derive(Debug)]
pub(super) enum FaultReason {
    /// The JSON itself is broken; [`diagnose`](super::diagnose) finds out how.
    Structure,
    /// The JSON may be well-formed, the record is not.
    Meaning(RecordReason),
}

impl Fault {
    #[cold]
    pub(super) fn meaning(at: usize, reason: RecordReason) -> Box<Self> {
        Box::new(Self { at, reason: FaultReason::Meaning(reason) })
    }

    /// The same fault with its offset counted from `start`.
    pub(super) fn from(self, start: usize) -> Self {
        Self { at: self.at - start, ..self }
    }
}

type Read<T> = Result<T, Box<Fault>>;

/// A record's envelope.
pub(super) struct Found {
    pub(super) envelope: Envelope,
    /// Behind the closing brace.
    pub(super) end: usize,
    /// Whether a string of the envelope has escapes to resolve.
    pub(super) escaped: bool,
}

/// Reads the record whose opening brace stands at `start`.
pub(super) fn read(bytes: &[u8], start: usize, position: u32) -> Read<Found> {
    let mut reader =
        Reader { bytes, at: start, value: start, seen: 0, escaped: false, name: None, envelope: blank(position) };
    reader.record()?;
    reader.envelope.record = Span::new(start, reader.at);
    Ok(Found { envelope: reader.checked(start)?, end: reader.at, escaped: reader.escaped })
}

fn blank(position: u32) -> Envelope {
    Envelope {
        record: Span::default(),
        event_id: Span::default(),
        sequence_number: Span::default(),
        source_arn: Span::default(),
        region: Span::default(),
        principal: Span::default(),
        keys: Span::default(),
        new_image: Span::default(),
        old_image: Span::default(),
        created_at: None,
        size_bytes: NO_SIZE,
        position,
        event_name: EventName::Insert,
        view_type: None,
        by_service: false,
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the value of the last key begins.
    value: usize,
    /// One bit for each known field that was there.
    seen: u32,
    escaped: bool,
    name: Option<EventName>,
    envelope: Envelope,
}

/// The fields that are read, as bits: two of a kind mean that two records ran together.
#[derive(Clone, Copy)]
enum Field {
    EventId,
    EventName,
    EventSource,
    Region,
    SourceArn,
    UserIdentity,
    Change,
    CreatedAt,
    Keys,
    NewImage,
    OldImage,
    SequenceNumber,
    SizeBytes,
    ViewType,
}

impl Field {
    const ALL: [(Self, &'static str); 14] = [
        (Self::EventId, "eventID"),
        (Self::EventName, "eventName"),
        (Self::EventSource, "eventSource"),
        (Self::Region, "awsRegion"),
        (Self::SourceArn, "eventSourceARN"),
        (Self::UserIdentity, "userIdentity"),
        (Self::Change, "dynamodb"),
        (Self::CreatedAt, "ApproximateCreationDateTime"),
        (Self::Keys, "Keys"),
        (Self::NewImage, "NewImage"),
        (Self::OldImage, "OldImage"),
        (Self::SequenceNumber, "SequenceNumber"),
        (Self::SizeBytes, "SizeBytes"),
        (Self::ViewType, "StreamViewType"),
    ];

    fn of_record(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"eventID" => Self::EventId,
            b"eventName" => Self::EventName,
            b"eventSource" => Self::EventSource,
            b"awsRegion" => Self::Region,
            b"eventSourceARN" => Self::SourceArn,
            b"userIdentity" => Self::UserIdentity,
            b"dynamodb" => Self::Change,
            _ => return None,
        })
    }

    fn of_change(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"ApproximateCreationDateTime" => Self::CreatedAt,
            b"Keys" => Self::Keys,
            b"NewImage" => Self::NewImage,
            b"OldImage" => Self::OldImage,
            b"SequenceNumber" => Self::SequenceNumber,
            b"SizeBytes" => Self::SizeBytes,
            b"StreamViewType" => Self::ViewType,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

impl<'a> Reader<'a> {
    fn record(&mut self) -> Read<()> {
        self.expect_kind(Kind::Object, "an object")?;
        let mut more = self.open_object()?;
        while more {
            match Field::of_record(&self.key()?) {
                Some(Field::Change) => self.change()?,
                Some(field) => self.record_field(field)?,
                None => self.skip()?,
            }
            more = self.next_member()?;
        }
        Ok(())
    }

    fn record_field(&mut self, field: Field) -> Read<()> {
        self.once(field)?;
        match field {
            Field::EventId => self.envelope.event_id = self.string(field)?,
            Field::Region => self.envelope.region = self.string(field)?,
            Field::SourceArn => self.envelope.source_arn = self.string(field)?,
            Field::EventName => {
                let name = self.word(field)?;
                self.name = name
                    .map(|name| EventName::parse(&name).ok_or(RecordReason::UnknownEventName))
                    .transpose()
                    .map_err(|reason| self.fault(reason))?;
            }
            Field::EventSource => {
                if self.word(field)?.is_some_and(|source| *source != *b"aws:dynamodb") {
                    return Err(self.fault(RecordReason::OtherService));
                }
            }
            _ => self.identity()?,
        }
        Ok(())
    }

    fn change(&mut self) -> Read<()> {
        self.once(Field::Change)?;
        if self.null() {
            return Ok(());
        }
        self.expect_kind(Kind::Object, "an object")?;
        let mut more = self.open_object()?;
        while more {
            match Field::of_change(&self.key()?) {
                Some(field) => self.change_field(field)?,
                None => self.skip()?,
            }
            more = self.next_member()?;
        }
        Ok(())
    }

    fn change_field(&mut self, field: Field) -> Read<()> {
        self.once(field)?;
        match field {
            Field::Keys => self.envelope.keys = self.image()?,
            Field::NewImage => self.envelope.new_image = self.image()?,
            Field::OldImage => self.envelope.old_image = self.image()?,
            Field::SequenceNumber => self.sequence_number()?,
            Field::CreatedAt => self.envelope.created_at = self.created_at()?,
            Field::SizeBytes => self.envelope.size_bytes = self.size_bytes()?,
            _ => {
                let name = self.word(field)?;
                self.envelope.view_type = name
                    .map(|name| ViewType::parse(&name).ok_or(RecordReason::UnknownViewType))
                    .transpose()
                    .map_err(|reason| self.fault(reason))?;
            }
        }
        Ok(())
    }

    /// What a record needs before anybody can handle it.
    fn checked(&self, start: usize) -> Read<Envelope> {
        let missing = |field: Field| {
            Box::new(Fault { at: start, reason: FaultReason::Meaning(RecordReason::Missing { field: field.name() }) })
        };
        let event_name = self.name.ok_or_else(|| missing(Field::EventName))?;
        if self.envelope.sequence_number.is_absent() {
            return Err(missing(Field::SequenceNumber));
        }
        Ok(Envelope { event_name, ..self.envelope })
    }

    fn sequence_number(&mut self) -> Read<()> {
        let span = self.string(Field::SequenceNumber)?;
        if !span.is_absent() {
            let digits = resolved(&self.bytes[span.range()]);
            if digits.is_empty() || digits.len() > 40 || !digits.iter().all(u8::is_ascii_digit) {
                return Err(self.fault(RecordReason::BadSequenceNumber));
            }
        }
        self.envelope.sequence_number = span;
        Ok(())
    }

    fn created_at(&mut self) -> Read<Option<Timestamp>> {
        let Some(text) = self.number()? else {
            return Ok(None);
        };
        match Timestamp::parse_seconds(text) {
            Some(time) => Ok(Some(time)),
            None => Err(self.fault(RecordReason::BadTime)),
        }
    }

    fn size_bytes(&mut self) -> Read<u64> {
        let Some(text) = self.number()? else {
            return Ok(NO_SIZE);
        };
        text.parse().map_err(|_| self.fault(RecordReason::BadSize))
    }

    /// A number, or null.
    fn number(&mut self) -> Read<Option<&'a str>> {
        if self.null() {
            return Ok(None);
        }
        self.expect_kind(Kind::Number, "a number")?;
        let start = self.at;
        self.at = skip::number(self.bytes, start);
        Ok(Some(str::from_utf8(&self.bytes[start..self.at]).expect("the characters of numbers are ASCII")))
    }

    /// An image, or null. One without attributes counts as none.
    fn image(&mut self) -> Read<Span> {
        if self.null() {
            return Ok(Span::default());
        }
        self.expect_kind(Kind::Object, "an object")?;
        let start = self.at;
        self.skip()?;
        let empty = self.bytes[skip_space(self.bytes, start + 1)] == b'}';
        Ok(if empty { Span::default() } else { Span::new(start, self.at) })
    }

    fn identity(&mut self) -> Read<()> {
        if self.null() {
            return Ok(());
        }
        self.expect_kind(Kind::Object, "an object")?;
        let mut members = Members::of(self.bytes, self.at);
        while let Some((name, at)) = members.next_key().map_err(structure)? {
            (self.at, self.value) = (at, at);
            match &*name {
                "type" | "Type" => {
                    self.envelope.by_service = self.word(Field::UserIdentity)?.is_some_and(|kind| *kind == *b"Service");
                }
                "principalId" | "PrincipalId" => self.envelope.principal = self.string(Field::UserIdentity)?,
                _ => {}
            }
            members.skip_value().map_err(structure)?;
        }
        self.at = members.offset();
        Ok(())
    }

    /// The span of a string's content, which is valid UTF-8 with valid escapes, or of nothing for null.
    fn string(&mut self, field: Field) -> Read<Span> {
        let Some((span, escaped)) = self.token(field)? else {
            return Ok(Span::default());
        };
        self.escaped |= escaped;
        match str::from_utf8(&self.bytes[span.clone()]) {
            Ok(raw) if !escaped || unescape(raw).is_some() => Ok(Span::new(span.start, span.end)),
            _ => Err(self.fault(RecordReason::BadText)),
        }
    }

    /// A string of which only the content matters.
    fn word(&mut self, field: Field) -> Read<Option<Cow<'a, [u8]>>> {
        let Some((span, escaped)) = self.token(field)? else {
            return Ok(None);
        };
        let raw = &self.bytes[span];
        Ok(Some(if escaped { resolved(raw) } else { Cow::Borrowed(raw) }))
    }

    fn token(&mut self, _: Field) -> Read<Option<(std::ops::Range<usize>, bool)>> {
        if self.null() {
            return Ok(None);
        }
        self.expect_kind(Kind::String, "a string")?;
        let start = self.at + 1;
        let end = string_end(self.bytes, start).ok_or_else(|| structure(start))?;
        self.at = end.quote + 1;
        Ok(Some((start..end.quote, end.escaped)))
    }

    fn null(&mut self) -> bool {
        let end = skip::literal(self.bytes, self.at, b"null");
        self.at = end.unwrap_or(self.at);
        end.is_some()
    }

    fn expect_kind(&self, expected: Kind, name: &'static str) -> Read<()> {
        let found = Kind::of(&self.bytes[self.at.min(self.bytes.len())..]);
        match found {
            _ if found == expected => Ok(()),
            Kind::Nothing | Kind::Other => Err(structure(self.at)),
            _ => Err(self.fault(RecordReason::WrongKind { expected: name, found })),
        }
    }

    fn skip(&mut self) -> Read<()> {
        self.at = skip::value(self.bytes, self.at).ok_or_else(|| structure(self.at))?;
        Ok(())
    }

    /// From an opening brace to the first key, or behind the closing brace of an empty object.
    fn open_object(&mut self) -> Read<bool> {
        self.at = skip_space(self.bytes, self.at + 1);
        let empty = self.bytes.get(self.at) == Some(&b'}');
        self.at += usize::from(empty);
        Ok(!empty)
    }

    /// From behind a value to the next key, or behind the closing brace.
    fn next_member(&mut self) -> Read<bool> {
        let at = skip_space(self.bytes, self.at);
        match self.bytes.get(at) {
            Some(b',') => self.at = skip_space(self.bytes, at + 1),
            Some(b'}') => self.at = at + 1,
            _ => return Err(structure(at)),
        }
        Ok(self.bytes[at] == b',')
    }

    /// Reads a key and stops at its value.
    fn key(&mut self) -> Read<Cow<'a, [u8]>> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return Err(structure(self.at));
        }
        let start = self.at + 1;
        let end = string_end(self.bytes, start).ok_or_else(|| structure(start))?;
        let colon = skip_space(self.bytes, end.quote + 1);
        if self.bytes.get(colon) != Some(&b':') {
            return Err(structure(colon));
        }
        self.at = skip_space(self.bytes, colon + 1);
        self.value = self.at;
        let raw = &self.bytes[start..end.quote];
        Ok(if end.escaped { resolved(raw) } else { Cow::Borrowed(raw) })
    }

    fn once(&mut self, field: Field) -> Read<()> {
        let bit = 1 << field as u32;
        if self.seen & bit != 0 {
            return Err(self.fault(RecordReason::Duplicate { field: field.name() }));
        }
        self.seen |= bit;
        Ok(())
    }

    #[cold]
    fn fault(&self, reason: RecordReason) -> Box<Fault> {
        Fault::meaning(self.value, reason)
    }
}

#[cold]
fn structure(at: usize) -> Box<Fault> {
    Box::new(Fault { at, reason: FaultReason::Structure })
}

/// A string with its escapes resolved; one that cannot be is left as it is and then matches nothing.
fn resolved(raw: &[u8]) -> Cow<'_, [u8]> {
    match str::from_utf8(raw).ok().and_then(unescape) {
        Some(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
        _ => Cow::Borrowed(raw),
    }
}

/// Moves a record whose envelope has escapes to a buffer of its own: the record as it came, followed by its strings with
/// the escapes resolved.
pub(super) fn resolve(bytes: &[u8], mut envelope: Envelope) -> (Vec<u8>, Envelope) {
    let record = envelope.record;
    let mut buffer = bytes[record.range()].to_vec();
    let Envelope { event_id, sequence_number, source_arn, region, principal, keys, new_image, old_image, .. } =
        &mut envelope;
    for span in [event_id, sequence_number, source_arn, region, principal] {
        *span = span.rebased(record.start());
        if let Cow::Owned(text) = resolved(&buffer[span.range()]) {
            *span = Span::new(buffer.len(), buffer.len() + text.len());
            buffer.extend_from_slice(&text);
        }
    }
    for span in [keys, new_image, old_image] {
        *span = span.rebased(record.start());
    }
    envelope.record = record.rebased(record.start());
    (buffer, envelope)
}
