//! What happened: changes, records, versions, and how they are read from the wire.

mod change;
mod entity;
mod typed;
mod version;
mod view;
pub mod wire;

pub use change::{Change, Facet};
pub use entity::Entity;
pub use typed::Record;
pub use version::Version;
pub use view::{KeysOnly, NewAndOldImages, NewImage, NotInView, OldImage, StreamView, Supplies};
pub use wire::{
    Cause, DecodeError, EventName, FromImage, Image, Item, Number, Part, PayloadError, RawImage, RawRecord,
    RecordError, Split, Timestamp, TumblingWindow, UnreadableRecord, ViewType, split,
};
