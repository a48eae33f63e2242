//! The envelope as Lambda writes it, read literally.
//!
//! Lambda writes the fields of every record in one order, compactly and without escapes, so most of an envelope is text that is
//! known beforehand. Whatever differs is no error: then [`envelope`](super::envelope) reads the record as JSON in general.

use super::{
    raw::{Author, Envelope, EventName, TTL_PRINCIPAL, ViewType},
    scan::{ascii_length, begins_with, digits, number_length},
    skip,
    span::Span,
    watch::{Look, Watched},
};

/// Reads the record that begins at `start`; the offset behind it is handed back. The envelope is of no use if there is none.
#[inline(always)]
pub(super) fn read(body: &[u8], start: usize, watched: Option<&Watched>, envelope: &mut Envelope) -> Option<usize> {
    let mut template = Template { length: body.len(), rest: body.get(start..)?, watched };
    template.literal(b"{\"eventID\":\"")?;
    envelope.event_id = template.text()?;
    template.literal(b",\"eventName\":\"")?;
    envelope.event_name = Some(template.event_name()?);
    template.literal(b",\"eventVersion\":\"")?;
    template.text()?;
    template.literal(b",\"eventSource\":\"aws:dynamodb\",\"awsRegion\":\"")?;
    envelope.region = template.text()?;
    if template.optional(b",\"userIdentity\":{\"type\":\"Service\",\"principalId\":\"dynamodb.amazonaws.com\"}") {
        let end = template.offset() - 2;
        envelope.principal = Span::new(end - TTL_PRINCIPAL.len(), end);
        envelope.author = Author::Service;
    }
    template.literal(b",\"dynamodb\":{\"ApproximateCreationDateTime\":")?;
    envelope.created_at = template.number()?;
    template.change(envelope)?;
    template.literal(b"},\"eventSourceARN\":\"")?;
    envelope.source_arn = template.text()?;
    template.literal(b"}")?;
    envelope.record = Span::new(start, template.offset());
    Some(template.offset())
}

struct Template<'a, 'w> {
    length: usize,
    rest: &'a [u8],
    watched: Option<&'w Watched>,
}

impl Template<'_, '_> {
    #[inline(always)]
    fn change(&mut self, envelope: &mut Envelope) -> Option<()> {
        self.literal(b",\"Keys\":{")?;
        envelope.keys = self.item()?;
        if self.optional(b",\"NewImage\":{") {
            (envelope.new_image, envelope.watched_new) = self.image()?;
        }
        if self.optional(b",\"OldImage\":{") {
            (envelope.old_image, envelope.watched_old) = self.image()?;
        }
        self.literal(b",\"SequenceNumber\":\"")?;
        envelope.sequence_number = self.digits()?;
        self.literal(b",\"SizeBytes\":")?;
        envelope.size_bytes = self.number()?;
        self.literal(b",\"StreamViewType\":\"")?;
        envelope.view_type = Some(self.view_type()?);
        Some(())
    }

    #[inline(always)]
    fn offset(&self) -> usize {
        self.length - self.rest.len()
    }

    /// Steps over a text, if it comes next.
    #[inline(always)]
    fn optional<const N: usize>(&mut self, text: &[u8; N]) -> bool {
        match self.rest.split_first_chunk::<N>() {
            Some((beginning, after)) if begins_with(beginning, text) => {
                self.rest = after;
                true
            }
            _ => false,
        }
    }

    #[inline(always)]
    fn literal<const N: usize>(&mut self, text: &[u8; N]) -> Option<()> {
        let (beginning, after) = self.rest.split_first_chunk::<N>()?;
        self.rest = after;
        begins_with(beginning, text).then_some(())
    }

    /// From behind an opening quote to behind the closing one.
    #[inline(always)]
    fn text(&mut self) -> Option<Span> {
        let (start, length) = (self.offset(), ascii_length(self.rest)?);
        self.rest = self.rest.get(length + 1..)?;
        Some(Span::new(start, start + length))
    }

    /// From behind an opening quote to behind the closing one.
    #[inline(always)]
    fn digits(&mut self) -> Option<Span> {
        let (start, length) = (self.offset(), digits(self.rest));
        let (closing, after) = self.rest.get(length..)?.split_first()?;
        self.rest = after;
        (*closing == b'"' && (1..=40).contains(&length)).then(|| Span::new(start, start + length))
    }

    #[inline(always)]
    fn event_name(&mut self) -> Option<EventName> {
        let (name, after) = self.rest.split_first_chunk::<7>()?;
        self.rest = after;
        match name {
            b"INSERT\"" => Some(EventName::Insert),
            b"MODIFY\"" => Some(EventName::Modify),
            b"REMOVE\"" => Some(EventName::Remove),
            _ => None,
        }
    }

    #[inline(always)]
    fn view_type(&mut self) -> Option<ViewType> {
        if self.optional(b"NEW_AND_OLD_IMAGES\"") {
            return Some(ViewType::NewAndOldImages);
        }
        let (name, after) = self.rest.split_first_chunk::<10>()?;
        self.rest = after;
        match name {
            b"NEW_IMAGE\"" => Some(ViewType::NewImage),
            b"OLD_IMAGE\"" => Some(ViewType::OldImage),
            b"KEYS_ONLY\"" => Some(ViewType::KeysOnly),
            _ => None,
        }
    }

    #[inline(always)]
    fn number(&mut self) -> Option<Span> {
        let start = self.offset();
        let length = number_length(self.rest);
        self.rest = &self.rest[length..];
        (length > 0).then(|| Span::new(start, start + length))
    }

    /// The same of an image, with the offset of the value that is watched for, or 0.
    #[inline(always)]
    fn image(&mut self) -> Option<(Span, u32)> {
        let Some(watched) = self.watched else {
            return Some((self.item()?, 0));
        };
        let (start, mut look) = (self.offset() - 1, watched.look());
        if self.rest.first() != Some(&b'"') {
            return None;
        }
        self.rest = skip_watching(self.rest, &mut look)?;
        let value = look.found.map_or(0, |found| self.length - found.len());
        Some((Span::new(start, self.offset()), value as u32))
    }

    /// From behind an opening brace to behind the closing one. One without attributes is left to the general reader.
    #[inline(always)]
    fn item(&mut self) -> Option<Span> {
        let start = self.offset() - 1;
        if self.rest.first() != Some(&b'"') {
            return None;
        }
        self.rest = skip::item(self.rest)?;
        Some(Span::new(start, self.offset()))
    }
}

#[inline(never)]
fn skip_watching<'a>(rest: &'a [u8], look: &mut Look<'_, 'a>) -> Option<&'a [u8]> {
    skip::item_watching(rest, look)
}
