//! Several writes of one row become one.

use std::collections::HashMap;

use super::{RowWrite, key::RowKey};

/// The last write of a row, and everything that it stands for.
#[derive(Debug)]
pub struct Folded<M> {
    /// The write that decides.
    pub write: RowWrite,
    /// What came with each write of the row, in order; the last belongs to the one that decides. Never empty.
    pub members: Vec<M>,
}

/// Leaves one write per row, the last one, in the order in which the rows first appear.
///
/// Rows are told apart by their exact keys, not by a hash of them.
///
/// ```
/// use anabranch::sink::table::{RowWrite, fold, item, text};
///
/// let key = |id| item([("PK", text(id))]);
/// let writes = [(RowWrite::delete(key("a")), 1), (RowWrite::delete(key("b")), 2), (RowWrite::put(key("a"), key("a")), 3)];
/// let folded = fold(writes);
/// assert_eq!(folded.len(), 2);
/// assert_eq!(folded[0].members, [1, 3]);
/// assert!(folded[0].write.row().is_some(), "the put came last");
/// ```
pub fn fold<M>(writes: impl IntoIterator<Item = (RowWrite, M)>) -> Vec<Folded<M>> {
    let mut places: HashMap<RowKey, usize> = HashMap::new();
    let mut folded: Vec<Folded<M>> = Vec::new();
    for (write, member) in writes {
        let place = *places.entry(RowKey::of(write.key())).or_insert(folded.len());
        match folded.get_mut(place) {
            Some(earlier) => {
                earlier.write = write;
                earlier.members.push(member);
            }
            None => folded.push(Folded { write, members: vec![member] }),
        }
    }
    folded
}
