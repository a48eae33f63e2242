//! Reads the envelope of one record and skips its images by their structure.
//!
//! Written for what Lambda delivers: each field is first tried as compact JSON, by its literal text, and only then as
//! JSON in general.

use std::{borrow::Cow, ops::Range, str};

use super::{
    error::{Kind, RecordReason},
    field::{Field, Fields},
    members::Members,
    raw::{Envelope, EventName, ViewType},
    recover::is_sequence_number,
    scan::{number_length, skip_space, string_length},
    skip,
    span::Span,
    text::unescape,
};

/// A word of an envelope, if it is one, and the text behind it.
type Word<'a> = (Option<Cow<'a, [u8]>>, &'a [u8]);

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
    let mut reader = Reader { body, envelope, seen: 0 };
    let after = reader.record(&body[start..])?;
    let end = reader.offset(after);
    reader.envelope.record = Span::new(start, end);
    reader.check(start)?;
    Ok(end)
}

struct Reader<'a, 'e> {
    body: &'a [u8],
    envelope: &'e mut Envelope,
    /// One bit for each field that was there: two of a kind mean that two records ran together.
    seen: u32,
}

impl<'a> Reader<'a, '_> {
    fn record(&mut self, rest: &'a [u8]) -> Read<&'a [u8]> {
        self.expect_kind(rest, Kind::Object)?;
        self.members(&rest[1..], Fields::OfRecord)
    }

    /// Reads the members of an object, from behind its opening brace to behind its closing one.
    #[inline(always)]
    fn members(&mut self, rest: &'a [u8], fields: Fields) -> Read<&'a [u8]> {
        let Some(mut key) = self.first_key(rest)? else {
            return Ok(&skip_space(rest)[1..]);
        };
        loop {
            let (field, value) = match fields.short_key(key) {
                Some(found) => found,
                None => self.any_key(key, fields)?,
            };
            self.once(field, value)?;
            let after = self.field(field, value)?;
            key = match after {
                [b',', b'"', key @ ..] => key,
                [b'}', after @ ..] => return Ok(after),
                _ => match self.next_key(after)? {
                    Next::Key(key) => key,
                    Next::End(after) => return Ok(after),
                },
            };
        }
    }

    /// Reads the value of a field; what follows it is handed back.
    #[inline(always)]
    fn field(&mut self, field: Field, value: &'a [u8]) -> Read<&'a [u8]> {
        match field {
            Field::EventId => self.text(value, |envelope, span| envelope.event_id = span),
            Field::Region => self.text(value, |envelope, span| envelope.region = span),
            Field::SourceArn => self.text(value, |envelope, span| envelope.source_arn = span),
            Field::SequenceNumber => self.sequence_number(value),
            Field::EventName => self.event_name(value),
            Field::EventSource => self.event_source(value),
            Field::ViewType => self.view_type(value),
            Field::Keys => self.image(value, |envelope, span| envelope.keys = span),
            Field::NewImage => self.image(value, |envelope, span| envelope.new_image = span),
            Field::OldImage => self.image(value, |envelope, span| envelope.old_image = span),
            Field::CreatedAt => self.number(value, |envelope, span| envelope.created_at = span),
            Field::SizeBytes => self.number(value, |envelope, span| envelope.size_bytes = span),
            Field::Change => self.change(value),
            Field::UserIdentity => self.identity(value),
            Field::Other => self.skip(value),
        }
    }

    #[inline(never)]
    fn change(&mut self, value: &'a [u8]) -> Read<&'a [u8]> {
        if let Some(after) = value.strip_prefix(b"null") {
            return Ok(after);
        }
        self.expect_kind(value, Kind::Object)?;
        self.members(&value[1..], Fields::OfChange)
    }

    /// A string that is kept as it is, or null.
    #[inline(always)]
    fn text(&mut self, value: &'a [u8], keep: impl Fn(&mut Envelope, Span)) -> Read<&'a [u8]> {
        let (span, after) = self.any_text(value)?;
        keep(self.envelope, span.map_or(Span::default(), |span| Span::new(span.start, span.end)));
        Ok(after)
    }

    /// The same, if it is long, has escapes, is not ASCII, or no string.
    #[cold]
    fn any_text(&mut self, value: &'a [u8]) -> Read<(Option<Range<usize>>, &'a [u8])> {
        if let Some(after) = value.strip_prefix(b"null") {
            return Ok((None, after));
        }
        self.expect_kind(value, Kind::String)?;
        let content = &value[1..];
        let length = string_length(content).ok_or_else(|| Fault::structure(self.offset(value)))?;
        let raw = str::from_utf8(&content[..length.bytes]).ok();
        if raw.and_then(unescape).is_none() {
            return Err(self.fault(value, RecordReason::BadText));
        }
        self.envelope.escaped |= length.escaped;
        let start = self.offset(content);
        Ok((Some(start..start + length.bytes), &content[length.bytes + 1..]))
    }

    /// A string of which only the content matters, with its escapes resolved, or null.
    #[cold]
    fn word(&mut self, value: &'a [u8]) -> Read<Word<'a>> {
        let (span, after) = self.any_text(value)?;
        Ok((span.map(|span| resolved(&self.body[span])), after))
    }

    #[inline(always)]
    fn sequence_number(&mut self, value: &'a [u8]) -> Read<&'a [u8]> {
        let after = self.text(value, |envelope, span| envelope.sequence_number = span)?;
        let span = self.envelope.sequence_number;
        // Digits can be escaped, too.
        if span.is_absent() || is_sequence_number(&resolved(&self.body[span.range()])) {
            return Ok(after);
        }
        Err(self.fault(value, RecordReason::BadSequenceNumber))
    }

    #[inline(always)]
    fn event_name(&mut self, value: &'a [u8]) -> Read<&'a [u8]> {
        let (name, after) = match value {
            [b'"', b'I', b'N', b'S', b'E', b'R', b'T', b'"', after @ ..] => (EventName::Insert, after),
            [b'"', b'M', b'O', b'D', b'I', b'F', b'Y', b'"', after @ ..] => (EventName::Modify, after),
            [b'"', b'R', b'E', b'M', b'O', b'V', b'E', b'"', after @ ..] => (EventName::Remove, after),
            _ => return self.any_event_name(value),
        };
        self.envelope.event_name = Some(name);
        Ok(after)
    }

    #[cold]
    fn any_event_name(&mut self, value: &'a [u8]) -> Read<&'a [u8]> {
        let (name, after) = self.word(value)?;
        if let Some(name) = name {
            let name = EventName::parse(&name).ok_or_else(|| self.fault(value, RecordReason::UnknownEventName))?;
            self.envelope.event_name = Some(name);
        }
        Ok(after)
    }

    #[inline(always)]
    fn event_source(&mut self, value: &'a [u8]) -> Read<&'a [u8]> {
        match value.strip_prefix(b"\"aws:dynamodb\"") {
            Some(after) => Ok(after),
            None => self.any_event_source(value),
        }
    }

    #[cold]
    fn any_event_source(&mut self, value: &'a [u8]) -> Read<&'a [u8]> {
        match self.word(value)? {
            (Some(source), _) if *source != *b"aws:dynamodb" => Err(self.fault(value, RecordReason::OtherService)),
            (_, after) => Ok(after),
        }
    }

    #[inline(always)]
    fn view_type(&mut self, value: &'a [u8]) -> Read<&'a [u8]> {
        if let Some(after) = value.strip_prefix(b"\"NEW_AND_OLD_IMAGES\"") {
            self.envelope.view_type = Some(ViewType::NewAndOldImages);
            return Ok(after);
        }
        self.any_view_type(value)
    }

    #[inline(never)]
    fn any_view_type(&mut self, value: &'a [u8]) -> Read<&'a [u8]> {
        let (name, after) = self.word(value)?;
        if let Some(name) = name {
            let name = ViewType::parse(&name).ok_or_else(|| self.fault(value, RecordReason::UnknownViewType))?;
            self.envelope.view_type = Some(name);
        }
        Ok(after)
    }

    /// A number, or null. It is read when it is asked for.
    #[inline(always)]
    fn number(&mut self, value: &'a [u8], keep: impl Fn(&mut Envelope, Span)) -> Read<&'a [u8]> {
        let length = match value {
            [b'-' | b'0'..=b'9', ..] => number_length(value),
            _ => match value.strip_prefix(b"null") {
                Some(after) => return Ok(after),
                None => return self.expect_kind(value, Kind::Number).map(|()| value),
            },
        };
        let start = self.offset(value);
        keep(self.envelope, Span::new(start, start + length));
        Ok(&value[length..])
    }

    /// An image, or null. One without attributes counts as none: items have keys.
    #[inline(always)]
    fn image(&mut self, value: &'a [u8], keep: impl Fn(&mut Envelope, Span)) -> Read<&'a [u8]> {
        let [b'{', inside @ ..] = value else {
            return match value.strip_prefix(b"null") {
                Some(after) => Ok(after),
                None => self.expect_kind(value, Kind::Object).map(|()| value),
            };
        };
        let after = skip::item(inside).ok_or_else(|| Fault::structure(self.offset(value)))?;
        if skip_space(inside).first() != Some(&b'}') {
            keep(self.envelope, Span::new(self.offset(value), self.offset(after)));
        }
        Ok(after)
    }

    #[inline(always)]
    fn skip(&self, value: &'a [u8]) -> Read<&'a [u8]> {
        skip::value(value).ok_or_else(|| Fault::structure(self.offset(value)))
    }

    #[cold]
    fn identity(&mut self, value: &'a [u8]) -> Read<&'a [u8]> {
        if let Some(after) = value.strip_prefix(b"null") {
            return Ok(after);
        }
        self.expect_kind(value, Kind::Object)?;
        let mut members = Members::of(self.body, self.offset(value));
        while let Some((name, at)) = members.next_key().map_err(Fault::structure)? {
            let value = &self.body[at..];
            match &*name {
                "type" | "Type" => {
                    self.envelope.by_service = self.word(value)?.0.is_some_and(|kind| *kind == *b"Service")
                }
                "principalId" | "PrincipalId" => {
                    let (span, _) = self.any_text(value)?;
                    self.envelope.principal = span.map_or(Span::default(), |span| Span::new(span.start, span.end));
                }
                _ => {}
            }
            members.skip_value().map_err(Fault::structure)?;
        }
        Ok(&self.body[members.offset()..])
    }

    /// Behind the opening quote of the first key, or nothing in an empty object.
    #[inline(always)]
    fn first_key(&self, rest: &'a [u8]) -> Read<Option<&'a [u8]>> {
        match skip_space(rest) {
            [b'"', key @ ..] => Ok(Some(key)),
            [b'}', ..] => Ok(None),
            rest => Err(Fault::structure(self.offset(rest))),
        }
    }

    /// From behind a value to behind the opening quote of the next key, or behind the closing brace.
    #[inline(never)]
    fn next_key(&self, rest: &'a [u8]) -> Read<Next<'a>> {
        let rest = skip_space(rest);
        match rest {
            [b'}', after @ ..] => return Ok(Next::End(after)),
            [b',', after @ ..] => {
                if let [b'"', key @ ..] = skip_space(after) {
                    return Ok(Next::Key(key));
                }
            }
            _ => {}
        }
        Err(Fault::structure(self.offset(rest)))
    }

    /// Reads a key from behind its opening quote: its field, and its value.
    #[inline(never)]
    fn any_key(&self, key: &'a [u8], fields: Fields) -> Read<(Field, &'a [u8])> {
        let broken = || Fault::structure(self.offset(key));
        let (raw, after) = key.split_at(string_length(key).ok_or_else(broken)?.bytes);
        let value = skip_space(&after[1..]).strip_prefix(b":").ok_or_else(broken)?;
        Ok((fields.of(&resolved(raw)), skip_space(value)))
    }

    #[inline(always)]
    fn once(&mut self, field: Field, value: &'a [u8]) -> Read<()> {
        if self.seen & field.bit() != 0 {
            return Err(self.fault(value, RecordReason::Duplicate { field: field.name() }));
        }
        self.seen |= field.bit();
        Ok(())
    }

    /// What a record needs before anybody can handle it.
    fn check(&self, start: usize) -> Read<()> {
        let missing = |field: Field| Err(Fault::meaning(start, RecordReason::Missing { field: field.name() }));
        if self.envelope.event_name.is_none() {
            return missing(Field::EventName);
        }
        if self.envelope.sequence_number.is_absent() {
            return missing(Field::SequenceNumber);
        }
        Ok(())
    }

    #[inline(always)]
    fn expect_kind(&self, value: &'a [u8], expected: Kind) -> Read<()> {
        let found = Kind::of(value);
        if found == expected { Ok(()) } else { Err(self.wrong_kind(value, expected, found)) }
    }

    #[cold]
    fn wrong_kind(&self, value: &'a [u8], expected: Kind, found: Kind) -> Box<Fault> {
        match found {
            Kind::Nothing | Kind::Other => Fault::structure(self.offset(value)),
            _ => self.fault(value, RecordReason::WrongKind { expected, found }),
        }
    }

    #[cold]
    fn fault(&self, value: &'a [u8], reason: RecordReason) -> Box<Fault> {
        Fault::meaning(self.offset(value), reason)
    }

    #[inline(always)]
    fn offset(&self, rest: &[u8]) -> usize {
        self.body.len() - rest.len()
    }
}

enum Next<'a> {
    Key(&'a [u8]),
    End(&'a [u8]),
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
