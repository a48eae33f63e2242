//! Reads the envelope of one record as JSON in general, with its fields in any order, and skips its images by their structure.
//!
//! What Lambda itself writes is read by its [`template`](super::template); this is for everybody else's events, for damaged ones, and
//! for what Lambda may write one day.

use std::{borrow::Cow, ops::Range, str};

use super::{
    error::{Kind, RecordReason},
    field::{Field, Fields},
    members::{Member, Members},
    origin::{self, Origin},
    raw::{Author, Envelope, EventName, ViewType},
    recover::is_sequence_number,
    scan::past_space,
    span::Span,
    text::unescape,
};

/// Why a record was not read, and where.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) reason: FaultReason,
}

#[derive(Debug)]
pub(super) enum FaultReason {
    /// The JSON itself is broken; [`UnreadableRecord`](super::UnreadableRecord) finds out how.
    Structure,
    /// The JSON may be well-formed, the record is not.
    Meaning(RecordReason),
}

impl Fault {
    #[cold]
    pub(super) fn meaning(at: usize, reason: RecordReason) -> Box<Self> {
        Box::new(Self { at, reason: FaultReason::Meaning(reason) })
    }

    #[cold]
    fn structure(at: usize) -> Box<Self> {
        Box::new(Self { at, reason: FaultReason::Structure })
    }

    /// The same fault with its offset counted from `start`.
    pub(super) fn from(self, start: usize) -> Self {
        Self { at: self.at - start, ..self }
    }
}

type Read<T> = Result<T, Box<Fault>>;

/// Reads the record that begins at `start` into a blank envelope; the offset behind it is handed back.
pub(super) fn read(body: &[u8], start: usize, envelope: &mut Envelope) -> Read<usize> {
    let mut reader = Reader { body, envelope, seen: 0, snapshot: false };
    let end = reader.object(start, Fields::OfRecord)?;
    reader.envelope.record = Span::new(start, end);
    reader.check(start)?;
    Ok(end)
}

struct Reader<'a, 'e> {
    body: &'a [u8],
    envelope: &'e mut Envelope,
    /// One bit for each field that was there: two of a kind mean that two records ran together.
    seen: u32,
    snapshot: bool,
}

impl<'a> Reader<'a, '_> {
    /// Reads the object that begins at `start`; the offset behind it is handed back.
    fn object(&mut self, start: usize, fields: Fields) -> Read<usize> {
        self.expect_kind(start, Kind::Object)?;
        let mut members = Members::of(self.body, start);
        while let Some(Member { name, value }) = members.next().map_err(Fault::structure)? {
            let field = fields.of(&name);
            if self.seen & field.bit() != 0 {
                return Err(Fault::meaning(value.start, RecordReason::Duplicate { field: field.name() }));
            }
            self.seen |= field.bit();
            if self.body[value.clone()] != *b"null" {
                self.field(field, value)?;
            }
        }
        Ok(members.offset())
    }

    fn field(&mut self, field: Field, value: Range<usize>) -> Read<()> {
        match field {
            Field::EventId => self.envelope.event_id = self.text(value)?,
            Field::Region => self.envelope.region = self.text(value)?,
            Field::SourceArn => self.envelope.source_arn = self.text(value)?,
            Field::SequenceNumber => self.envelope.sequence_number = self.sequence_number(value)?,
            Field::EventName => self.envelope.event_name = Some(self.event_name(value)?),
            Field::EventSource => self.event_source(value)?,
            Field::ViewType => self.envelope.view_type = Some(self.view_type(value)?),
            Field::Keys => self.envelope.keys = self.image(value)?,
            Field::NewImage => self.envelope.new_image = self.image(value)?,
            Field::OldImage => self.envelope.old_image = self.image(value)?,
            Field::CreatedAt => self.envelope.created_at = self.number(value)?,
            Field::SizeBytes => self.envelope.size_bytes = self.number(value)?,
            Field::Change => drop(self.object(value.start, Fields::OfChange)?),
            Field::UserIdentity => self.identity(value)?,
            Field::Other => {}
        }
        Ok(())
    }

    /// The content of a string.
    fn text(&mut self, value: Range<usize>) -> Read<Span> {
        self.expect_kind(value.start, Kind::String)?;
        let content = value.start + 1..value.end - 1;
        match str::from_utf8(&self.body[content.clone()]).ok().and_then(unescape) {
            Some(text) => self.envelope.escaped |= matches!(text, Cow::Owned(_)),
            None => return Err(Fault::meaning(value.start, RecordReason::BadText)),
        }
        Ok(Span::new(content.start, content.end))
    }

    /// The same with its escapes resolved.
    fn word(&mut self, value: Range<usize>) -> Read<Cow<'a, [u8]>> {
        let content = self.text(value)?;
        Ok(resolved(&self.body[content.range()]))
    }

    fn sequence_number(&mut self, value: Range<usize>) -> Read<Span> {
        if is_sequence_number(&self.word(value.clone())?) {
            return self.text(value);
        }
        Err(Fault::meaning(value.start, RecordReason::BadSequenceNumber))
    }

    fn event_name(&mut self, value: Range<usize>) -> Read<EventName> {
        let name = EventName::parse(&self.word(value.clone())?);
        name.ok_or_else(|| Fault::meaning(value.start, RecordReason::UnknownEventName))
    }

    fn event_source(&mut self, value: Range<usize>) -> Read<()> {
        let snapshot = Origin::names_snapshot(&self.word(value.clone())?);
        self.snapshot = snapshot.ok_or_else(|| Fault::meaning(value.start, RecordReason::OtherService))?;
        Ok(())
    }

    fn view_type(&mut self, value: Range<usize>) -> Read<ViewType> {
        let name = ViewType::parse(&self.word(value.clone())?);
        name.ok_or_else(|| Fault::meaning(value.start, RecordReason::UnknownViewType))
    }

    /// A number. It is read when it is asked for.
    fn number(&self, value: Range<usize>) -> Read<Span> {
        self.expect_kind(value.start, Kind::Number)?;
        Ok(Span::new(value.start, value.end))
    }

    /// An image. One without attributes counts as none: items have keys.
    fn image(&self, value: Range<usize>) -> Read<Span> {
        self.expect_kind(value.start, Kind::Object)?;
        let empty = self.body[past_space(self.body, value.start + 1)] == b'}';
        Ok(if empty { Span::default() } else { Span::new(value.start, value.end) })
    }

    fn identity(&mut self, value: Range<usize>) -> Read<()> {
        self.expect_kind(value.start, Kind::Object)?;
        let mut members = Members::of(self.body, value.start);
        while let Ok(Some(Member { name, value })) = members.next() {
            match &*name {
                _ if self.body[value.clone()] == *b"null" => {}
                "type" | "Type" => {
                    let service = *self.word(value)? == *b"Service";
                    self.envelope.author = if service { Author::Service } else { Author::User };
                }
                "principalId" | "PrincipalId" => self.envelope.principal = self.text(value)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// What a record needs before anybody can handle it.
    fn check(&mut self, start: usize) -> Read<()> {
        let missing = |field: Field| Err(Fault::meaning(start, RecordReason::Missing { field: field.name() }));
        if self.envelope.event_name.is_none() {
            return missing(Field::EventName);
        }
        if self.envelope.sequence_number.is_absent() {
            return missing(Field::SequenceNumber);
        }
        if self.snapshot { self.check_snapshot() } else { Ok(()) }
    }

    /// A snapshot has a time in place of a sequence number, and nobody made it.
    fn check_snapshot(&mut self) -> Read<()> {
        let time = self.envelope.sequence_number;
        if origin::time_of(&resolved(&self.body[time.range()])).is_none() {
            return Err(Fault::meaning(time.start() - 1, RecordReason::BadReadTime));
        }
        (self.envelope.author, self.envelope.principal) = (Author::Snapshot, Span::default());
        Ok(())
    }

    fn expect_kind(&self, at: usize, expected: Kind) -> Read<()> {
        match Kind::of(&self.body[at..]) {
            found if found == expected => Ok(()),
            Kind::Nothing | Kind::Other => Err(Fault::structure(at)),
            found => Err(Fault::meaning(at, RecordReason::WrongKind { expected, found })),
        }
    }
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
pub(super) fn resolve(bytes: &[u8], envelope: &mut Envelope) -> Vec<u8> {
    let record = envelope.record;
    let mut buffer = bytes[record.range()].to_vec();
    for span in envelope.spans() {
        *span = span.rebased(record.start());
    }
    for span in envelope.texts() {
        if let Cow::Owned(text) = resolved(&buffer[span.range()]) {
            *span = Span::new(buffer.len(), buffer.len() + text.len());
            buffer.extend_from_slice(&text);
        }
    }
    buffer
}
