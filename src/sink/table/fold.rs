//! Several writes of one row belong together.

use std::collections::HashMap;

use super::{RowWrite, key::RowKey};

/// Gathers what concerns the same row, in order; rows come in the order in which they first appear.
///
/// Of the writes of one row only the last needs to reach the table, and none may reach it beside another. Rows
/// are told apart by their exact keys, not by a hash of them. No group is empty.
///
/// ```
/// use anabranch::sink::table::{RowWrite, by_row, item, text};
///
/// let key = |id| item([("PK", text(id))]);
/// let writes = [RowWrite::delete(key("a")), RowWrite::delete(key("b")), RowWrite::put(key("a"), key("a"))];
/// let groups = by_row(writes, |write| write);
/// assert_eq!(groups.len(), 2);
/// assert!(groups[0].last().is_some_and(|write| write.row().is_some()), "the put of `a` came last");
/// ```
pub fn by_row<M>(members: impl IntoIterator<Item = M>, write: impl Fn(&M) -> &RowWrite) -> Vec<Vec<M>> {
    let mut places: HashMap<RowKey, usize> = HashMap::new();
    let mut groups: Vec<Vec<M>> = Vec::new();
    for member in members {
        let place = *places.entry(RowKey::of(write(&member).key())).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(member),
            None => groups.push(vec![member]),
        }
    }
    groups
}
