//! A property that may be there, be wrong, or be unknown.

use super::{Node, Place};

/// A property of a resource as a type.
///
/// ```
/// use anabranch::template::Setting;
///
/// let size: Setting<i64> = Setting::Absent;
/// assert_eq!(size.or(100), Some(100));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Setting<T> {
    /// It is not in the template.
    Absent,
    /// It has this value.
    Known(T, Place),
    /// It is there, and what it is only the deployment knows.
    Unknown(Place),
    /// It is there and of another type: a list for a number, `many` for a number.
    Unreadable(Place),
}

impl<T> Setting<T> {
    /// The value, where it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value, _) => Some(value),
            _ => None,
        }
    }

    /// Where it stands, if it is there.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Absent => None,
            Self::Known(_, place) | Self::Unknown(place) | Self::Unreadable(place) => Some(*place),
        }
    }

    /// Whether it is not in the template.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The value, or the default where there is none; nothing where it is not known.
    pub fn or(&self, default: T) -> Option<T>
    where
        T: Clone,
    {
        match self {
            Self::Absent => Some(default),
            Self::Known(value, _) => Some(value.clone()),
            Self::Unknown(_) | Self::Unreadable(_) => None,
        }
    }
}

impl<T: Read> Setting<T> {
    /// Reads a property.
    pub fn of(node: Option<&Node>) -> Self {
        let Some(node) = node else { return Self::Absent };
        if node.is_unknown() || node.reference().is_some() {
            return Self::Unknown(node.place);
        }
        T::read(node).map_or(Self::Unreadable(node.place), |value| Self::Known(value, node.place))
    }
}

/// What a property can be read as.
pub trait Read: Sized {
    /// Reads a known node; nothing where it is something else.
    fn read(node: &Node) -> Option<Self>;
}

/// `true` and `"true"`; and what YAML 1.1 takes for a boolean, where it is not quoted.
impl Read for bool {
    fn read(node: &Node) -> Option<Self> {
        let plain = node.scalar().is_some_and(|scalar| scalar.plain);
        match &*node.as_str()?.to_ascii_lowercase() {
            "true" => Some(true),
            "false" => Some(false),
            "yes" | "on" if plain => Some(true),
            "no" | "off" if plain => Some(false),
            _ => None,
        }
    }
}

/// `10`, `"10"` and `10.0`.
impl Read for i64 {
    fn read(node: &Node) -> Option<Self> {
        let text = node.as_str()?.trim();
        text.strip_suffix(".0").unwrap_or(text).parse().ok()
    }
}

impl Read for String {
    fn read(node: &Node) -> Option<Self> {
        node.as_str().map(str::to_owned)
    }
}
