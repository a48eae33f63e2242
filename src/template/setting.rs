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
        let scalar = node.scalar().filter(|scalar| scalar.whole)?;
        scalar.boolean().or_else(|| scalar.text.to_ascii_lowercase().parse().ok())
    }
}

/// `10`, `"10"` and `10.0`; and what YAML 1.1 takes for an integer, where it is not quoted.
impl Read for i64 {
    fn read(node: &Node) -> Option<Self> {
        let scalar = node.scalar().filter(|scalar| scalar.whole)?;
        let text = scalar.text.trim();
        scalar.integer().or_else(|| text.strip_suffix(".0").unwrap_or(text).parse().ok())
    }
}

impl Read for String {
    fn read(node: &Node) -> Option<Self> {
        node.as_str().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::read::read;

    /// As PyYAML reads what is not quoted, and CloudFormation what is.
    #[test]
    fn numbers_are_read_as_yaml_writes_them() {
        for (text, expected) in [
            ("100", Some(100)),
            ("'100'", Some(100)),
            ("100.0", Some(100)),
            ("-1", Some(-1)),
            ("+5", Some(5)),
            ("0", Some(0)),
            ("0x10", Some(16)),
            ("-0x10", Some(-16)),
            ("010", Some(8)),
            ("0b11", Some(3)),
            ("1_000", Some(1_000)),
            ("!!int '7'", Some(7)),
            ("'0x10'", None),
            ("!!str 0x10", None),
            ("0x-1", None),
            ("many", None),
            ("''", None),
            ("true", None),
        ] {
            let node = read(&"t".into(), text).expect("readable");
            assert_eq!(i64::read(&node), expected, "{text}");
        }
    }

    #[test]
    fn booleans_are_read_as_yaml_writes_them() {
        for (text, expected) in [
            ("true", Some(true)),
            ("'true'", Some(true)),
            ("'False'", Some(false)),
            ("Yes", Some(true)),
            ("off", Some(false)),
            ("'yes'", None),
            ("!!str on", None),
            ("1", None),
            ("y", None),
        ] {
            let node = read(&"t".into(), text).expect("readable");
            assert_eq!(bool::read(&node), expected, "{text}");
        }
    }
}
