//! The ledger: for each item, what it has in the view, and as of which version.

use std::collections::{BTreeMap, HashMap};

use super::{
    ViewError,
    layout::{Layout, SHARES},
    share::{Extreme, Mark, RowName, Share, Shares},
};
use crate::sink::table::{AttributeValue, DEFAULT_VERSION_ATTRIBUTE, Decimal, Item, text};

/// What an item has in the view, and as of which version.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Ledger {
    /// None if the view has never seen the item.
    pub(super) version: Option<String>,
    pub(super) shares: Shares,
}

/// A ledger row that names its item's rows; without any it is a tombstone that expires.
pub(super) fn write(layout: &Layout, key: Item, version: &str, shares: &Shares, expiry: (&str, u64)) -> Item {
    let mut row = key;
    row.extend(layout.marks());
    row.insert(DEFAULT_VERSION_ATTRIBUTE.to_owned(), text(version));
    if shares.is_empty() {
        row.insert(expiry.0.to_owned(), AttributeValue::N(expiry.1.to_string()));
    } else {
        let shares = shares.iter().map(|(name, share)| AttributeValue::M(write_share(name, share)));
        row.insert(SHARES.to_owned(), AttributeValue::L(shares.collect()));
    }
    row
}

fn write_share(name: &RowName, share: &Share) -> HashMap<String, AttributeValue> {
    let mut map =
        HashMap::from([("p".to_owned(), text(name.partition.clone())), ("s".to_owned(), text(name.sort.clone()))]);
    if !share.amounts.is_empty() {
        let amounts = share.amounts.iter().map(|(name, amount)| (name.clone(), AttributeValue::N(amount.to_string())));
        map.insert("a".to_owned(), AttributeValue::M(amounts.collect()));
    }
    if !share.marks.is_empty() {
        let marks = share.marks.iter().map(|(mark, extreme)| AttributeValue::M(write_mark(mark, extreme)));
        map.insert("x".to_owned(), AttributeValue::L(marks.collect()));
    }
    map
}

fn write_mark(mark: &Mark, extreme: &Extreme) -> HashMap<String, AttributeValue> {
    HashMap::from([
        ("n".to_owned(), text(mark.name.clone())),
        ("o".to_owned(), text(mark.order.clone())),
        ("l".to_owned(), AttributeValue::Bool(extreme.lowest)),
        ("v".to_owned(), extreme.value.clone()),
    ])
}

/// Reads a ledger row, or that there is none.
pub(super) fn read(row: Option<&Item>) -> Result<Ledger, ViewError> {
    let Some(row) = row else { return Ok(Ledger::default()) };
    let Some(AttributeValue::S(version)) = row.get(DEFAULT_VERSION_ATTRIBUTE) else {
        return Err(ViewError::Ledger { name: DEFAULT_VERSION_ATTRIBUTE });
    };
    let shares = match row.get(SHARES) {
        None => Some(Shares::new()),
        Some(AttributeValue::L(shares)) => shares.iter().map(read_share).collect(),
        Some(_) => None,
    };
    Ok(Ledger { version: Some(version.clone()), shares: shares.ok_or(ViewError::Ledger { name: SHARES })? })
}

fn read_share(share: &AttributeValue) -> Option<(RowName, Share)> {
    let AttributeValue::M(map) = share else { return None };
    let name = RowName { partition: read_text(map, "p")?, sort: read_text(map, "s")? };
    let amounts = match map.get("a") {
        None => BTreeMap::new(),
        Some(AttributeValue::M(amounts)) => amounts.iter().map(read_amount).collect::<Option<_>>()?,
        Some(_) => return None,
    };
    let marks = match map.get("x") {
        None => BTreeMap::new(),
        Some(AttributeValue::L(marks)) => marks.iter().map(read_mark).collect::<Option<_>>()?,
        Some(_) => return None,
    };
    Some((name, Share { amounts, marks, ..Share::default() }))
}

fn read_amount<'a>((name, amount): (&'a String, &'a AttributeValue)) -> Option<(String, Decimal)> {
    let AttributeValue::N(amount) = amount else { return None };
    Some((name.clone(), amount.parse().ok()?))
}

fn read_mark(mark: &AttributeValue) -> Option<(Mark, Extreme)> {
    let AttributeValue::M(map) = mark else { return None };
    let AttributeValue::Bool(lowest) = map.get("l")? else { return None };
    let mark = Mark { name: read_text(map, "n")?, order: read_text(map, "o")? };
    Some((mark, Extreme { lowest: *lowest, value: map.get("v")?.clone() }))
}

fn read_text(map: &HashMap<String, AttributeValue>, name: &str) -> Option<String> {
    match map.get(name) {
        Some(AttributeValue::S(text)) => Some(text.clone()),
        _ => None,
    }
}

/// The generation that a version begins with.
pub(super) fn generation(version: &str) -> u32 {
    version.get(..10).and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        record::Version,
        sink::table::item,
        view::{Contribution, share::contributed},
    };

    #[test]
    fn what_is_written_is_read() {
        let layout = Layout::new("v");
        let contributions = vec![
            Contribution::to("p", "s").sum("sum", -3).min("least", 5).last("last", "1", text("x")),
            Contribution::to("p", "t"),
        ];
        let shares = contributed(&layout, "source", contributions).unwrap();
        let row = write(&layout, layout.ledger_key("source"), "0000000000#t", &shares, ("ttl", 7));
        assert!(!row.contains_key("ttl"));
        let ledger = Ledger { version: Some("0000000000#t".into()), shares };
        assert!(read(Some(&row)).unwrap() == ledger);
        let stone = write(&layout, layout.ledger_key("source"), "1", &Shares::new(), ("ttl", 7));
        assert_eq!(stone["ttl"], AttributeValue::N("7".into()));
        assert!(read(Some(&stone)).unwrap().shares.is_empty());
        assert!(read(None).unwrap() == Ledger::default());
    }

    #[test]
    fn what_something_else_wrote_is_an_error() {
        let foreign = [item([]), item([(DEFAULT_VERSION_ATTRIBUTE, text("1")), (SHARES, text("?"))])];
        assert!(foreign.iter().all(|row| read(Some(row)).is_err()));
    }

    #[test]
    fn a_stored_version_says_its_generation() {
        assert_eq!(generation(Version::stream(12, "label", "7").as_str()), 12);
        assert_eq!(generation(Version::snapshot(u32::MAX, 7).as_str()), u32::MAX);
    }
}
