//! How entity types are told apart.

use std::borrow::Cow;

use serde_dynamo::{AttributeValue, Item};

use super::{Routing, Unrouted};
use crate::record::{EventName, Image, RawRecord};

/// Where the name of a record's entity type stands.
#[derive(Debug, Clone)]
pub(super) enum Discriminator {
    /// Nowhere: all records are alike.
    None,
    /// In an attribute of the item.
    Attribute(String),
    /// In a key attribute, before a separator.
    KeyPrefix { key: String, separator: char },
}

impl Discriminator {
    /// The routes of a record, where `lookup` knows those of an entity, or that there are none.
    #[inline]
    pub(super) fn routing(
        &self,
        raw: &RawRecord,
        lookup: impl Fn(Option<&[u8]>) -> Option<u64>,
    ) -> Result<Routing, Unrouted> {
        let named = |entity: Option<&[u8]>| lookup(entity).ok_or_else(|| self.unrouted(entity));
        match self {
            Self::None => Ok(Routing::whole(lookup(None).unwrap_or_default())),
            Self::KeyPrefix { key, separator } => {
                let value = raw.keys().attribute(key)?;
                named(value.as_deref().map(|value| prefix(value, *separator).as_bytes())).map(Routing::whole)
            }
            Self::Attribute(name) => {
                let (old, new) = (entity(raw.old_image(), name)?, entity(raw.new_image(), name)?);
                let (old, new) = (old.as_deref(), new.as_deref());
                match raw.event_name() {
                    EventName::Insert => named(new).map(Routing::whole),
                    EventName::Remove => named(old).map(Routing::whole),
                    EventName::Modify if old == new => named(new).map(Routing::whole),
                    EventName::Modify => Ok(Routing::between(named(old)?, named(new)?)),
                }
            }
        }
    }

    /// Whether an item may change its entity type. A key stays as it is.
    pub(super) fn may_change(&self) -> bool {
        matches!(self, Self::Attribute(_))
    }

    /// The entity type of an item, as an attribute has it; none if nobody can read it there.
    pub(super) fn attribute_of<'i>(&self, item: &'i Item) -> Option<&'i str> {
        let Self::Attribute(name) = self else { return None };
        match item.get(name)? {
            AttributeValue::S(entity) | AttributeValue::N(entity) => Some(entity),
            _ => None,
        }
    }

    fn unrouted(&self, entity: Option<&[u8]>) -> Unrouted {
        let place = match self {
            Self::None => String::new(),
            Self::Attribute(name) => format!("attribute `{name}`"),
            Self::KeyPrefix { key, .. } => format!("key `{key}`"),
        };
        match entity {
            Some(entity) => {
                let entity = String::from_utf8_lossy(entity).into_owned();
                tracing::trace!(entity, "not routed");
                Unrouted::Unknown { place, entity }
            }
            None => Unrouted::Missing { place },
        }
    }
}

#[inline]
fn entity<'r>(image: Option<Image<'r>>, name: &str) -> Result<Option<Cow<'r, [u8]>>, Unrouted> {
    match image {
        Some(image) => Ok(image.attribute_bytes(name)?),
        None => Ok(None),
    }
}

fn prefix(value: &str, separator: char) -> &str {
    value.split(separator).next().unwrap_or(value)
}
