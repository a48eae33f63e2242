//! What happened to an item.

use std::fmt;

use super::{DecodeError, EventName, FromImage, NewAndOldImages, RawRecord, StreamView};

/// What happened to an item: inserted, modified or removed, with the images that the view `V` carries.
///
/// With the default view both images are plain `T`; a view that lacks an image has
/// [`NotInView`](super::NotInView) in its place.
///
/// ```
/// use anabranch::record::Change;
///
/// fn grew(change: &Change<u32>) -> bool {
///     match change {
///         Change::Insert { .. } => true,
///         Change::Modify { old, new } => new > old,
///         Change::Remove { .. } => false,
///     }
/// }
/// assert!(grew(&Change::Modify { old: 1, new: 2 }));
/// ```
pub enum Change<T: Send + 'static, V: StreamView = NewAndOldImages> {
    /// The item did not exist before.
    Insert {
        /// The item after the change.
        new: V::New<T>,
    },
    /// The item existed and was written again.
    Modify {
        /// The item before the change.
        old: V::Old<T>,
        /// The item after the change.
        new: V::New<T>,
    },
    /// The item was deleted, by a user or by its time to live.
    Remove {
        /// The item before the change.
        old: V::Old<T>,
    },
}

/// Which side of a change a route gets: an item that changed its entity type left one type and joined another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Facet {
    /// The change as it is.
    Whole,
    /// A modify that changed the entity type, seen as it is by a route of both types: at a [version](super::Version) just above the
    /// change's own, so that it counts more than what a route of the old type alone makes of it.
    Both,
    /// A modify seen by the type that the item joined: an insert, at a [version](super::Version) just above the change's own.
    Joined,
    /// A modify seen by the type that the item left: a remove, at the version of the change.
    Left,
}

impl<T: FromImage, V: StreamView> Change<T, V> {
    pub(super) fn read(raw: &RawRecord, facet: Facet) -> Result<Self, DecodeError> {
        match (raw.event_name(), facet) {
            (EventName::Insert, _) | (EventName::Modify, Facet::Joined) => Ok(Self::Insert { new: V::new_image(raw)? }),
            (EventName::Remove, _) | (EventName::Modify, Facet::Left) => Ok(Self::Remove { old: V::old_image(raw)? }),
            (EventName::Modify, Facet::Whole | Facet::Both) => {
                Ok(Self::Modify { old: V::old_image(raw)?, new: V::new_image(raw)? })
            }
        }
    }
}

impl<T: Send + 'static, V: StreamView> Change<T, V> {
    /// Which kind of change this is.
    pub fn event_name(&self) -> EventName {
        match self {
            Self::Insert { .. } => EventName::Insert,
            Self::Modify { .. } => EventName::Modify,
            Self::Remove { .. } => EventName::Remove,
        }
    }
}

impl<T: Send + 'static> Change<T> {
    /// The item as the table holds it now, or none after a remove.
    pub fn current(&self) -> Option<&T> {
        match self {
            Self::Insert { new } | Self::Modify { new, .. } => Some(new),
            Self::Remove { .. } => None,
        }
    }

    /// The item as the table held it before, or none before an insert.
    pub fn previous(&self) -> Option<&T> {
        match self {
            Self::Modify { old, .. } | Self::Remove { old } => Some(old),
            Self::Insert { .. } => None,
        }
    }
}

impl<T: Send + 'static, V: StreamView> fmt::Debug for Change<T, V>
where
    V::New<T>: fmt::Debug,
    V::Old<T>: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insert { new } => f.debug_struct("Insert").field("new", new).finish(),
            Self::Modify { old, new } => f.debug_struct("Modify").field("old", old).field("new", new).finish(),
            Self::Remove { old } => f.debug_struct("Remove").field("old", old).finish(),
        }
    }
}

impl<T: Send + 'static, V: StreamView> Clone for Change<T, V>
where
    V::New<T>: Clone,
    V::Old<T>: Clone,
{
    fn clone(&self) -> Self {
        match self {
            Self::Insert { new } => Self::Insert { new: new.clone() },
            Self::Modify { old, new } => Self::Modify { old: old.clone(), new: new.clone() },
            Self::Remove { old } => Self::Remove { old: old.clone() },
        }
    }
}

impl<T: Send + 'static, V: StreamView> PartialEq for Change<T, V>
where
    V::New<T>: PartialEq,
    V::Old<T>: PartialEq,
{
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Insert { new }, Self::Insert { new: other }) => new == other,
            (Self::Modify { old, new }, Self::Modify { old: o, new: n }) => old == o && new == n,
            (Self::Remove { old }, Self::Remove { old: other }) => old == other,
            _ => false,
        }
    }
}
