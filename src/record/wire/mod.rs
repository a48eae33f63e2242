//! The wire: a payload's records, split and decoded where they stand.
//!
//! Two passes. [`split`] walks the payload once: it reads each record's envelope and skips images by their structure, keeping
//! only where they are. [`Image::decode`] then reads those that somebody wants, straight from DynamoDB JSON into any
//! [`serde::Deserialize`] type. Nothing of ours allocates per record, and a record that nobody decodes costs about a seventh of
//! what a JSON parser needs to skip it.
//!
//! A record that cannot be read is that record's failure: see [`UnreadableRecord`] and [`DecodeError`], which say where and
//! why and never quote a value.

mod de;
mod envelope;
mod error;
mod exact;
mod field;
mod find;
mod image;
mod lane;
mod members;
mod number;
mod origin;
mod page;
mod path;
mod raw;
mod recover;
mod scan;
mod skip;
mod span;
mod split;
mod template;
mod text;
mod timestamp;
mod unreadable;
pub(crate) mod walk;
mod watch;
mod window;
mod write;

#[cfg(test)]
mod tests;

pub(super) use self::origin::micros;
#[cfg(feature = "export")]
pub(crate) use self::write::Frame;
pub use self::{
    error::{DecodeError, DecodeReason, Kind, PayloadError, RecordError, RecordReason},
    exact::{Item, Number},
    image::{FromImage, Image, Part, RawImage},
    origin::Origin,
    page::{PageBody, PageError},
    raw::{Cause, EventName, RawRecord, ViewType},
    split::{Split, split},
    timestamp::Timestamp,
    unreadable::UnreadableRecord,
    window::TumblingWindow,
    write::{EventWriter, Identity, ItemJson, RecordParts},
};
