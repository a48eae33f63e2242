//! What a stream carries of each change, at compile time.

use super::{DecodeError, FromImage, Part, RawRecord};

mod sealed {
    pub trait Sealed {}
}

/// In place of an image that the stream view does not carry: it has nothing to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NotInView;

/// A table's `StreamViewType`: which images its records carry.
///
/// Sealed: these four are all that DynamoDB has. The view of a [`Change`](super::Change) decides the
/// types of its images, so reading an image that the view lacks does not compile.
pub trait StreamView: sealed::Sealed + Send + Sync + 'static {
    /// The name that `StreamSpecification.StreamViewType` uses.
    const NAME: &'static str;
    /// The item after the change, or [`NotInView`].
    type New<T: Send + 'static>: Send + 'static;
    /// The item before the change, or [`NotInView`].
    type Old<T: Send + 'static>: Send + 'static;

    #[doc(hidden)]
    fn new_image<T: FromImage>(raw: &RawRecord) -> Result<Self::New<T>, DecodeError>;
    #[doc(hidden)]
    fn old_image<T: FromImage>(raw: &RawRecord) -> Result<Self::Old<T>, DecodeError>;
}

/// The view type of a stream supplies at least what a handler reads.
///
/// A handler names the least view that it needs, the [`Router`](crate::router::Router) the view that the
/// table has; a route compiles only where the second supplies the first.
#[diagnostic::on_unimplemented(
    message = "a stream of view `{Self}` does not supply `{W}`, which this handler reads",
    label = "this handler reads images that the router's stream view does not carry",
    note = "set the table's StreamViewType to one that does, and name it: `Router::<NewAndOldImages>::..`"
)]
pub trait Supplies<W: StreamView>: StreamView {}

impl<V: StreamView> Supplies<V> for V {}
impl Supplies<KeysOnly> for NewImage {}
impl Supplies<KeysOnly> for OldImage {}
impl Supplies<KeysOnly> for NewAndOldImages {}
impl Supplies<NewImage> for NewAndOldImages {}
impl Supplies<OldImage> for NewAndOldImages {}

macro_rules! view {
    ($(#[$doc:meta])* $name:ident = $wire:literal, New = $new:ident, Old = $old:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name;

        impl sealed::Sealed for $name {}

        impl StreamView for $name {
            const NAME: &'static str = $wire;
            view!(@image New, new_image, NewImage, $new);
            view!(@image Old, old_image, OldImage, $old);
        }
    };
    (@image $kind:ident, $read:ident, $part:ident, Carried) => {
        type $kind<T: Send + 'static> = T;
        fn $read<T: FromImage>(raw: &RawRecord) -> Result<T, DecodeError> {
            raw.$read().ok_or_else(|| raw.missing_image(Part::$part))?.decode_owned()
        }
    };
    (@image $kind:ident, $read:ident, $part:ident, NotInView) => {
        type $kind<T: Send + 'static> = NotInView;
        fn $read<T: FromImage>(_: &RawRecord) -> Result<NotInView, DecodeError> {
            Ok(NotInView)
        }
    };
}

view! {
    /// `KEYS_ONLY`: only the keys of the item.
    KeysOnly = "KEYS_ONLY", New = NotInView, Old = NotInView
}
view! {
    /// `NEW_IMAGE`: the item after the change.
    NewImage = "NEW_IMAGE", New = Carried, Old = NotInView
}
view! {
    /// `OLD_IMAGE`: the item before the change.
    OldImage = "OLD_IMAGE", New = NotInView, Old = Carried
}
view! {
    /// `NEW_AND_OLD_IMAGES`: the item before and after the change.
    NewAndOldImages = "NEW_AND_OLD_IMAGES", New = Carried, Old = Carried
}
