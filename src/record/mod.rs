//! What happened: changes, records, versions, and how they are read from the wire.

mod change;
#[cfg(any(feature = "events", feature = "streams"))]
mod convert;
mod entity;
mod typed;
mod version;
mod view;
pub mod wire;

pub use change::{Change, Facet};
#[cfg(feature = "streams")]
pub use convert::event_from_stream;
pub use entity::Entity;
pub use typed::Record;
pub(crate) use version::PUT_RIGHT;
pub use version::Version;
pub use view::{KeysOnly, NewAndOldImages, NewImage, NotInView, OldImage, StreamView, Supplies};
pub use wire::{
    Cause, DecodeError, EventName, FromImage, Image, Item, Number, Origin, PageBody, PageError, Part, PayloadError,
    RawImage, RawRecord, RecordError, Split, Timestamp, TumblingWindow, UnreadableRecord, ViewType, split,
};
