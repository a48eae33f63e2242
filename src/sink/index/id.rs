//! Which document an item is.

use std::fmt::{self, Write};

use sha2::{Digest, Sha256};

use crate::sink::table::{AttributeValue, Item, canonical_number};

/// The most bytes that an id may have: the limit of OpenSearch and Elasticsearch.
pub const ID_BYTES: usize = 512;

/// The id of an item's document, made from its typed keys so that no two items share one.
///
/// The keys stand in the order of their names, separated by commas, each as its type and value: `S=USER#ada,S=PET#mia`.
/// `%`, `,` and control characters inside a string are written as `%` and two hexadecimal digits per byte, so `ab` and `c` differ
/// from `a` and `bc`; numbers stand in one spelling (`1`, `1.0` and `1E0` are one key), and the string `1` is not
/// the number `1`; binaries are base64url. An id over [`ID_BYTES`] is `sha256=` and the hexadecimal hash of that text.
///
/// It holds users' data, so `Debug` does not show it.
///
/// ```
/// use anabranch::sink::{index::DocumentId, table::{item, text}};
///
/// let id = DocumentId::of(&item([("PK", text("USER#ada")), ("SK", text("a,b"))]));
/// assert_eq!(id.as_str(), "S=USER#ada,S=a%2Cb");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentId(String);

impl DocumentId {
    /// The id of the item with these keys.
    pub fn of(keys: &Item) -> Self {
        let mut keys: Vec<_> = keys.iter().collect();
        keys.sort_unstable_by_key(|(name, _)| *name);
        let mut id = String::new();
        for (at, (_, value)) in keys.into_iter().enumerate() {
            id.push_str(if at == 0 { "" } else { "," });
            push(&mut id, value);
        }
        if id.len() <= ID_BYTES { Self(id) } else { Self(hashed(&id)) }
    }

    /// The id as the index has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentId").field("bytes", &self.0.len()).finish_non_exhaustive()
    }
}

fn push(id: &mut String, value: &AttributeValue) {
    match value {
        AttributeValue::S(text) => push_escaped(id, "S=", text),
        AttributeValue::N(number) => push_escaped(id, "N=", &canonical_number(number)),
        AttributeValue::B(binary) => {
            push_escaped(id, "B=", &base64_simd::URL_SAFE_NO_PAD.encode_to_string(binary));
        }
        // No table has such a key: this only has to tell them apart.
        other => push_escaped(id, "?=", &serde_json::to_string(other).unwrap_or_default()),
    }
}

fn push_escaped(id: &mut String, kind: &str, text: &str) {
    id.push_str(kind);
    for character in text.chars() {
        if character == '%' || character == ',' || character.is_control() {
            let mut bytes = [0; 4];
            character.encode_utf8(&mut bytes).bytes().for_each(|byte| push_hex(id, "%", byte));
        } else {
            id.push(character);
        }
    }
}

fn push_hex(text: &mut String, prefix: &str, byte: u8) {
    write!(text, "{prefix}{byte:02X}").expect("a string takes everything");
}

fn hashed(id: &str) -> String {
    let mut text = "sha256=".to_owned();
    Sha256::digest(id).iter().for_each(|byte| push_hex(&mut text, "", *byte));
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sink::table::{item, text};

    fn number(text: &str) -> AttributeValue {
        AttributeValue::N(text.into())
    }

    fn id(pk: AttributeValue, sk: AttributeValue) -> DocumentId {
        DocumentId::of(&item([("PK", pk), ("SK", sk)]))
    }

    #[test]
    fn different_keys_have_different_ids() {
        let binary = |bytes: &[u8]| AttributeValue::B(bytes.into());
        let ids = [
            id(text("ab"), text("c")),
            id(text("a"), text("bc")),
            id(text("a,S=b"), text("c")),
            id(text("a%2CS=b"), text("c")),
            id(text("1"), text("c")),
            id(number("1"), text("c")),
            id(binary(b"1"), text("c")),
            id(text(""), text("1,S=c")),
            DocumentId::of(&item([("PK", text("ab,S=c"))])),
            id(text("a".repeat(600)), text("b")),
            id(text("a".repeat(600)), text("c")),
        ];
        let different: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(different.len(), ids.len());
    }

    #[test]
    fn one_number_has_one_id() {
        let ids = ["1", "1.0", "1E0", "+1", "10e-1"].map(|text| id(number(text), number("-0")));
        assert!(ids.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn long_ids_are_hashed_to_fit() {
        let fits = DocumentId::of(&item([("PK", text("a".repeat(ID_BYTES - 2)))]));
        let hashed = DocumentId::of(&item([("PK", text("a".repeat(ID_BYTES - 1)))]));
        assert_eq!(fits.as_str().len(), ID_BYTES);
        assert!(hashed.as_str().starts_with("sha256=") && hashed.as_str().len() == 7 + 64);
    }

    #[test]
    fn debug_shows_no_key() {
        assert!(!format!("{:?}", id(text("secret"), text("secret"))).contains("secret"));
    }

    fn key() -> impl Strategy<Value = AttributeValue> {
        prop_oneof![
            "[a,%S=N2C0-9]{0,4}".prop_map(AttributeValue::S),
            (-99_i32..99).prop_map(|number| AttributeValue::N(number.to_string())),
            proptest::collection::vec(any::<u8>(), 0..3).prop_map(AttributeValue::B),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

        #[test]
        fn ids_are_equal_only_for_equal_keys(a in key(), b in key(), c in key(), d in key()) {
            let (left, right) = (id(a.clone(), b.clone()), id(c.clone(), d.clone()));
            prop_assert_eq!(left == right, a == c && b == d);
        }
    }
}
