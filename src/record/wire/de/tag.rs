//! The types of attributes.

/// The type tag of an attribute value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    S,
    N,
    B,
    Bool,
    Null,
    M,
    L,
    Ss,
    Ns,
    Bs,
}

impl Tag {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "S" => Self::S,
            "N" => Self::N,
            "B" => Self::B,
            "BOOL" => Self::Bool,
            "NULL" => Self::Null,
            "M" => Self::M,
            "L" => Self::L,
            "SS" => Self::Ss,
            "NS" => Self::Ns,
            "BS" => Self::Bs,
            _ => return None,
        })
    }

    /// The tags of one letter.
    #[inline(always)]
    pub(super) fn of_letter(letter: u8) -> Option<Self> {
        Some(match letter {
            b'S' => Self::S,
            b'N' => Self::N,
            b'B' => Self::B,
            b'M' => Self::M,
            b'L' => Self::L,
            _ => return None,
        })
    }

    /// The letter of a tag that holds a single text.
    #[inline(always)]
    pub(super) fn letter(self) -> Option<u8> {
        match self {
            Self::S => Some(b'S'),
            Self::N => Some(b'N'),
            Self::B => Some(b'B'),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::N => "N",
            Self::B => "B",
            Self::Bool => "BOOL",
            Self::Null => "NULL",
            Self::M => "M",
            Self::L => "L",
            Self::Ss => "SS",
            Self::Ns => "NS",
            Self::Bs => "BS",
        }
    }
}
