//! Splits a payload into its records, one at a time.

use std::{borrow::Cow, str};

use bytes::Bytes;

use super::{
    envelope::{self, Fault},
    error::{Kind, PayloadError, RecordReason},
    members::Members,
    raw::{Envelope, RawRecord},
    recover,
    scan::past_space,
    skip, template,
    text::unescape,
    unreadable::UnreadableRecord,
    watch::Watched,
    window::{TumblingWindow, WindowSpans},
};

/// The records of a payload, in order, each read or reported as unreadable.
///
/// Every byte between the brackets of `Records` belongs to exactly one yielded item (separators aside): damage is the
/// failure of the record it is in, and reading goes on at the next one. Once the iterator is at its end,
/// [`finish`](Self::finish) tells about the rest of the payload.
#[derive(Debug)]
pub struct Split {
    body: Bytes,
    window: WindowSpans,
    position: u32,
    next: Next,
    watched: Option<Watched>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// A record, or whatever stands in its place, at this offset.
    Element(usize),
    /// `Records` has ended, and the payload behind it is whole or not.
    End(Result<(), Unfinished>),
}

/// What is wrong behind the last record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfinished {
    /// There is a second `Records`.
    RecordsTwice,
    /// The payload is broken at this offset.
    Broken(usize),
}

/// Finds the records of a Lambda payload.
///
/// Only what stands before the records is read here; each record is read when the iterator comes to it.
///
/// ```
/// use anabranch::record::{EventName, wire::split};
///
/// let payload = br#"{"Records":[{"eventName":"REMOVE","dynamodb":{"SequenceNumber":"111","Keys":{"PK":{"S":"USER#1"}}}}]}"#;
/// let mut records = split(payload.as_slice().into())?;
/// let record = records.next().expect("one record")?;
/// assert_eq!(record.event_name(), EventName::Remove);
/// assert_eq!(record.keys().attribute("PK")?.as_deref(), Some("USER#1"));
/// assert!(records.next().is_none());
/// assert!(records.finish()?.is_none(), "no tumbling window");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A payload that is no batch of a DynamoDB stream; see [`PayloadError`].
pub fn split(body: Bytes) -> Result<Split, PayloadError> {
    if u32::try_from(body.len()).is_err() {
        return Err(PayloadError::TooLarge { bytes: body.len() });
    }
    let mut window = WindowSpans::default();
    let records = find_records(&body, &mut window)?;
    let first = past_space(&body, records + 1);
    refuse_other_services(&body, first)?;
    let next = match body.get(first) {
        Some(b']') => Next::End(trailer(&body, first + 1, &mut window)),
        _ => Next::Element(first),
    };
    Ok(Split { body, window, position: 0, next, watched: None })
}

/// The offset of the opening bracket of `Records`.
fn find_records(body: &Bytes, window: &mut WindowSpans) -> Result<usize, PayloadError> {
    let top = past_space(body, 0);
    if body.get(top) != Some(&b'{') {
        return Err(PayloadError::NotAnObject { found: Kind::of(&body[top..]) });
    }
    let malformed = |at| PayloadError::Malformed { at };
    let (mut members, mut keys) = (Members::of(body, top), Vec::new());
    while let Some((name, at)) = members.next_key().map_err(malformed)? {
        if name == "Records" {
            let found = Kind::of(&body[at..]);
            return if found == Kind::Array { Ok(at) } else { Err(PayloadError::RecordsNotAnArray { found }) };
        }
        window.note(&name, members.skip_value().map_err(malformed)?);
        if keys.len() < 8 {
            keys.push(shortened(&name));
        }
    }
    Err(PayloadError::NoRecords { keys })
}

fn shortened(name: &str) -> String {
    name.chars().take(64).collect()
}

/// Looks at the `eventSource` of the first record, unless that is a change of a table all the same or is damaged.
fn refuse_other_services(body: &[u8], first: usize) -> Result<(), PayloadError> {
    if body.get(first) != Some(&b'{') {
        return Ok(());
    }
    let (mut members, mut service) = (Members::of(body, first), None);
    loop {
        match members.next() {
            Ok(Some(member)) => match &*member.name {
                "eventSource" | "EventSource" => service = text(&body[member.value]),
                "dynamodb" => return Ok(()),
                _ => {}
            },
            Ok(None) => break,
            Err(_) => return Ok(()),
        }
    }
    match service {
        Some(source) if source != "aws:dynamodb" => Err(PayloadError::OtherService { service: shortened(&source) }),
        _ => Ok(()),
    }
}

/// The content of a string token.
pub(super) fn text(token: &[u8]) -> Option<Cow<'_, str>> {
    let raw = token.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    unescape(str::from_utf8(raw).ok()?)
}

/// Reads what follows the closing bracket of `Records` strictly, to the end of the payload.
pub(super) fn trailer(body: &[u8], at: usize, window: &mut WindowSpans) -> Result<(), Unfinished> {
    let mut found = window.clone();
    let mut members = Members::after(body, at);
    while let Some(member) = members.next().map_err(Unfinished::Broken)? {
        if member.name == "Records" {
            return Err(Unfinished::RecordsTwice);
        }
        found.note(&member.name, member.value);
    }
    let end = past_space(body, members.offset());
    if end < body.len() {
        return Err(Unfinished::Broken(end));
    }
    *window = found;
    Ok(())
}

impl Split {
    /// Notes where an attribute stands in each image while images are skipped, so that [`Image::attribute`](super::Image::attribute)
    /// finds it at once. It changes nothing but the cost, which is worth it if every record will be asked for the attribute.
    #[must_use]
    pub fn watching(mut self, attribute: &str) -> Self {
        self.watched = Watched::new(attribute);
        self
    }

    /// Reads what stands around the records: the tumbling window of the batch, if it has one.
    ///
    /// To be called after the last record.
    ///
    /// # Errors
    /// A payload that does not end as it should: records may be missing, so that nothing but a failure of the whole
    /// invocation is safe. The same if records are left that nobody has asked for, as they are not looked at.
    pub fn finish(self) -> Result<Option<TumblingWindow>, PayloadError> {
        match self.next {
            Next::End(Ok(())) => self.window.read(&self.body),
            Next::End(Err(Unfinished::RecordsTwice)) => Err(PayloadError::RecordsTwice),
            Next::End(Err(Unfinished::Broken(at))) | Next::Element(at) => Err(PayloadError::Malformed { at }),
        }
    }

    /// Reads the element at `start` into a blank record.
    #[inline(never)]
    fn read(&mut self, start: usize, record: &mut RawRecord) -> Result<(), UnreadableRecord> {
        let envelope = record.envelope_mut();
        let end = match template::read(&self.body, start, self.watched.as_ref(), envelope) {
            Some(end) => end,
            None => match self.read_in_general(start, envelope) {
                Ok(end) => end,
                Err(fault) => return Err(self.unreadable(start, *fault)),
            },
        };
        match self.following(end) {
            Some(next) => self.next = next,
            None => return Err(self.unreadable(start, *Fault::meaning(end, RecordReason::UncertainEnd))),
        }
        if record.envelope_mut().escaped {
            record.resolve();
        }
        Ok(())
    }

    #[inline(never)]
    fn read_in_general(&self, start: usize, envelope: &mut Envelope) -> Result<usize, Box<Fault>> {
        *envelope = Envelope { position: self.position, ..Envelope::default() };
        envelope::read(&self.body, start, envelope)
    }

    /// Reports the element at `start` as unreadable and finds where to go on.
    #[cold]
    fn unreadable(&mut self, start: usize, fault: Fault) -> UnreadableRecord {
        let end = skip::value(&self.body[start..]).map(|rest| self.body.len() - rest.len());
        let whole = end.and_then(|end| Some((end, self.following(end)?)));
        let (end, next) = whole.unwrap_or_else(|| recover::resume(&self.body, start, &mut self.window));
        self.next = next;
        UnreadableRecord::new(self.body.slice(start..end), self.position, fault.from(start), end == self.body.len())
    }

    /// What follows an element that ends at `end`, or nothing if that can be neither an element nor the end of `Records`,
    /// so that the element has probably not ended there.
    #[inline(always)]
    fn following(&mut self, end: usize) -> Option<Next> {
        // Type tags are upper case, the fields of a record are not.
        if let [b',', b'{', b'"', b'a'..=b'z', ..] = self.body[end..] {
            return Some(Next::Element(end + 1));
        }
        self.anything_following(end)
    }

    #[inline(never)]
    fn anything_following(&mut self, end: usize) -> Option<Next> {
        let at = past_space(&self.body, end);
        match self.body.get(at) {
            Some(b',') => {
                let start = past_space(&self.body, at + 1);
                recover::may_be_element(&self.body, start).then_some(Next::Element(start))
            }
            Some(b']') => {
                let ended = trailer(&self.body, at + 1, &mut self.window);
                let early =
                    matches!(ended, Err(Unfinished::Broken(_))) && recover::next_record(&self.body, at + 1).is_some();
                (!early).then_some(Next::End(ended))
            }
            Some(_) => None,
            // Cut off between two records: the element that should be here will say so.
            None => Some(Next::Element(at)),
        }
    }
}

impl Iterator for Split {
    type Item = Result<RawRecord, UnreadableRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        let Next::Element(start) = self.next else {
            return None;
        };
        let mut record = RawRecord::blank(self.body.clone(), self.position);
        let read = self.read(start, &mut record);
        self.position += 1;
        Some(read.map(|()| record))
    }
}

impl std::iter::FusedIterator for Split {}
