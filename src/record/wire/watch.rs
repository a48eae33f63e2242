//! Notes where an attribute stands while images are skipped, so that a router need not look for it again.

use super::skip::Watch;

/// The name of an attribute that somebody will ask every record for.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    /// The name as JSON has it, from behind its opening quote to behind its colon: `name":`.
    key: Box<[u8]>,
    /// The first eight bytes of it, those beyond its end left out.
    word: u64,
    mask: u64,
}

impl Watched {
    /// Names that need escapes are not watched: they are found in general.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let key: Box<[u8]> = format!("{name}\":").into_bytes().into();
        if name.bytes().any(|byte| matches!(byte, b'"' | b'\\' | ..b' ')) {
            return None;
        }
        let mut first = [0; 8];
        let length = key.len().min(8);
        first[..length].copy_from_slice(&key[..length]);
        let mask = if length < 8 { (1 << (8 * length)) - 1 } else { u64::MAX };
        Some(Self { word: u64::from_le_bytes(first), key, mask })
    }

    /// Watches one item.
    #[inline(always)]
    pub(super) fn look<'a>(&self) -> Look<'_, 'a> {
        Look { watched: self, found: None }
    }
}

/// What was seen of one item.
pub(super) struct Look<'w, 'a> {
    watched: &'w Watched,
    /// From the attribute's value on.
    pub(super) found: Option<&'a [u8]>,
}

impl<'a> Watch<'a> for Look<'_, 'a> {
    #[inline(always)]
    fn see(&mut self, attribute: &'a [u8]) {
        let Some(first) = attribute.first_chunk::<8>() else { return };
        if u64::from_le_bytes(*first) & self.watched.mask == self.watched.word && self.found.is_none() {
            self.found = attribute.strip_prefix(&*self.watched.key);
        }
    }
}

/// Looks for several attributes, and shows each where it is seen: by its place among the names, from its value on.
#[cfg(any(test, feature = "export"))]
pub(super) struct LookForAll<'w, S> {
    pub(super) watched: &'w [Watched],
    pub(super) show: S,
}

#[cfg(any(test, feature = "export"))]
impl<'a, S: FnMut(usize, &'a [u8])> Watch<'a> for LookForAll<'_, S> {
    #[inline(always)]
    fn see(&mut self, attribute: &'a [u8]) {
        let Some(first) = attribute.first_chunk::<8>() else { return };
        let word = u64::from_le_bytes(*first);
        for (place, watched) in self.watched.iter().enumerate() {
            if word & watched.mask == watched.word
                && let Some(value) = attribute.strip_prefix(&*watched.key)
            {
                (self.show)(place, value);
            }
        }
    }
}

/// Whether the value at `at` of a buffer belongs to an attribute of this name: whether the name stands before it.
#[inline]
pub(super) fn belongs_to(buffer: &[u8], at: usize, name: &str) -> bool {
    let before = buffer[..at].strip_suffix(b"\":").and_then(|before| before.strip_suffix(name.as_bytes()));
    before.is_some_and(|before| before.ends_with(b"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::wire::skip;

    fn seen<'a>(name: &str, item: &'a str) -> Option<&'a str> {
        let watched = Watched::new(name).unwrap();
        let mut look = watched.look();
        skip::item_watching(&item.as_bytes()[1..], &mut look).unwrap();
        let found = look.found?;
        assert!(belongs_to(item.as_bytes(), item.len() - found.len(), name));
        Some(&item[item.len() - found.len()..])
    }

    #[test]
    fn attributes_of_the_item_are_seen_and_no_others() {
        for name in ["a", "kind", "entityType", "a name longer than a block"] {
            let value = r#"{"S":"PET"},"z":{"N":"1"},"long":{"S":"so that the blocks of sixty-four bytes are full to the end"}}"#;
            let plain = format!(r#"{{"x":{{"S":"1"}},"{name}":{value}"#);
            assert_eq!(seen(name, &plain), Some(value));
            let maps =
                format!(r#""m":{{"M":{{"{name}":{{"S":"no"}}}}}},"l":{{"L":[{{"M":{{"{name}":{{"S":"no"}}}}}}]}}"#);
            assert_eq!(seen(name, &format!(r#"{{{maps},"{name}":{value}"#)), Some(value));
            assert_eq!(seen(name, &format!(r#"{{"x{name}":{{"S":"1"}},{maps},"{name}x":{value}"#)), None);
            let quoted = format!(r#"{{"x":{{"S":"\"{name}\":{{\"S\":\"no\"}}"}},"y":{value}"#);
            assert_eq!(seen(name, &quoted), None);
        }
    }

    #[test]
    fn names_with_escapes_are_not_watched() {
        assert!(["a\"b", "a\\b", "a\nb"].iter().all(|name| Watched::new(name).is_none()));
        assert!(["", "é", "a"].iter().all(|name| Watched::new(name).is_some()));
    }
}
