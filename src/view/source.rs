//! Items as a view takes them.

use crate::record::{DecodeError, Entity, FromImage, Image};

use super::MARKER;

/// An item of the source table, or a row that a view wrote into it.
///
/// Views may live in the table whose changes they follow, where they meet their own rows. Those are known by the
/// attribute [`MARKER`] and are never decoded into `T`.
pub struct Source<T>(Option<T>);

impl<T> Source<T> {
    /// The item; none if it is a row of a view.
    pub fn item(&self) -> Option<&T> {
        self.0.as_ref()
    }
}

impl<T: FromImage> FromImage for Source<T> {
    fn from_image(image: Image<'_>) -> Result<Self, DecodeError> {
        match image.attribute(MARKER) {
            Ok(Some(_)) => Ok(Self(None)),
            _ => T::from_image(image).map(|item| Self(Some(item))),
        }
    }
}

#[diagnostic::do_not_recommend]
impl<T: Entity> Entity for Source<T> {
    const NAME: &'static str = T::NAME;
}
