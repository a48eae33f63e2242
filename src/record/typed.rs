//! One change, decoded, with everything that is known about it.

use std::fmt;

use super::{
    Cause, Change, DecodeError, EventName, Facet, FromImage, Image, NewAndOldImages, Origin, RawRecord, StreamView,
    Timestamp, Version,
};

/// One change of one item: the decoded images, and the envelope around them.
///
/// A record owns what it shows and can be sent to another task; the envelope is shared with the batch's bytes,
/// not copied.
pub struct Record<T: Send + 'static, V: StreamView = NewAndOldImages> {
    /// What happened, with the images that the view `V` carries.
    pub change: Change<T, V>,
    facet: Facet,
    raw: RawRecord,
}

impl<T: FromImage, V: StreamView> Record<T, V> {
    /// Decodes the images that the view `V` names, and only those.
    ///
    /// # Errors
    /// An image that cannot be decoded into `T`, or that the view promises and the record lacks.
    pub fn read(raw: &RawRecord, facet: Facet) -> Result<Self, DecodeError> {
        // Only an item that was there before can leave a type and join another.
        let sided = facet != Facet::Whole && raw.event_name() == EventName::Modify;
        let facet = if sided { facet } else { Facet::Whole };
        Ok(Self { change: Change::read(raw, facet)?, facet, raw: raw.clone() })
    }
}

impl<T: Send + 'static, V: StreamView> Record<T, V> {
    /// The keys of the item.
    pub fn keys(&self) -> Image<'_> {
        self.raw.keys()
    }

    /// The place of this change in the order of the item's changes (generation 0), as [its side](Self::facet) of it sees it.
    pub fn version(&self) -> Version {
        let version = Version::of(&self.raw);
        if matches!(self.facet, Facet::Joined | Facet::Both) { version.joined() } else { version }
    }

    /// Which side of the change this is: the whole, unless the item changed its entity type and two routes have a side each.
    pub fn facet(&self) -> Facet {
        self.facet
    }

    /// What tells this side of the change from the other, behind the id of their event.
    pub(crate) fn side(&self) -> &'static str {
        match self.facet {
            Facet::Whole | Facet::Both => "",
            Facet::Left => "#REMOVE",
            Facet::Joined => "#INSERT",
        }
    }

    /// Where the record comes from: the table's stream, or a snapshot of the table.
    pub fn origin(&self) -> Origin {
        self.raw.origin()
    }

    /// The globally unique id of the change; it carries no order. Rows of a snapshot have none.
    pub fn event_id(&self) -> Option<&str> {
        self.raw.event_id()
    }

    /// The number that Lambda checkpoints by: up to 40 digits, compared as a number, within one shard.
    ///
    /// Of a row of a snapshot the time of its read, in microseconds since 1970.
    pub fn sequence_number(&self) -> &str {
        self.raw.sequence_number()
    }

    /// The ARN of the stream.
    pub fn source_arn(&self) -> Option<&str> {
        self.raw.source_arn()
    }

    /// When the change happened, approximately: whole seconds on DynamoDB Streams. Never a version.
    pub fn created_at(&self) -> Option<Timestamp> {
        self.raw.created_at()
    }

    /// Who made the change: a user, the table's time to live, or another service.
    pub fn cause(&self) -> Cause<'_> {
        self.raw.cause()
    }

    /// The size of the record in bytes as DynamoDB counts it.
    pub fn size_bytes(&self) -> Option<u64> {
        self.raw.size_bytes()
    }

    /// The undecoded record.
    pub fn raw(&self) -> &RawRecord {
        &self.raw
    }

    /// The same record with another change, for handlers that hand a record on in another shape.
    pub fn with_change<U: Send + 'static, W: StreamView>(self, change: Change<U, W>) -> Record<U, W> {
        Record { change, facet: self.facet, raw: self.raw }
    }

    /// Which kind of change this is, as the route sees it.
    pub fn event_name(&self) -> EventName {
        self.change.event_name()
    }
}

impl<T: Send + 'static, V: StreamView> fmt::Debug for Record<T, V> {
    /// Shows the envelope only: images are users' data and do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("event_name", &self.event_name())
            .field("sequence_number", &self.sequence_number())
            .field("event_id", &self.event_id())
            .finish_non_exhaustive()
    }
}
