//! Many items' changes become few transactions, and transactions that share no row go side by side.

use std::collections::{BTreeMap, HashMap};

use super::{
    delta::{Delta, Deltas},
    share::{RowName, Share, Shares},
};
use crate::sink::table::{TRANSACTION_ACTIONS, TRANSACTION_BYTES, item, item_size};

/// One item's change, ready to be written.
pub(super) struct Ready {
    /// Which of the changes it is.
    pub(super) index: usize,
    /// Whether it has to go by itself, because something in its last company did not fit.
    pub(super) alone: bool,
    /// The version that the ledger row must still have.
    pub(super) seen: Option<String>,
    pub(super) deltas: Deltas,
    /// About as many bytes as its ledger row has.
    pub(super) bytes: usize,
}

/// Items whose ledger rows are written together with all that changes in the view.
#[derive(Default)]
pub(super) struct Transaction {
    pub(super) items: Vec<Member>,
    pub(super) deltas: Deltas,
    closed: bool,
    bytes: usize,
}

/// An item of a transaction.
pub(super) struct Member {
    pub(super) index: usize,
    pub(super) seen: Option<String>,
}

/// Packs changes into transactions, those of the same rows together, and the transactions into waves: within one no two
/// share a row, so that they are not in each other's way.
pub(super) fn waves(mut ready: Vec<Ready>) -> Vec<Vec<Transaction>> {
    ready.sort_by(|a, b| a.deltas.keys().cmp(b.deltas.keys()).then(a.index.cmp(&b.index)));
    let mut transactions: Vec<Transaction> = Vec::new();
    for ready in ready {
        let taken = transactions.last_mut().is_some_and(|last| last.take(&ready));
        if !taken {
            transactions.push(Transaction::of(ready));
        }
    }
    let (mut waves, mut next): (Vec<Vec<Transaction>>, HashMap<RowName, usize>) = Default::default();
    for transaction in transactions {
        let rows = transaction.deltas.keys();
        let wave = rows.clone().filter_map(|row| next.get(row)).max().copied().unwrap_or_default();
        next.extend(rows.map(|row| (row.clone(), wave + 1)));
        waves.resize_with(waves.len().max(wave + 1), Vec::new);
        waves[wave].push(transaction);
    }
    waves
}

impl Transaction {
    fn of(ready: Ready) -> Self {
        let Ready { index, alone, seen, deltas, bytes } = ready;
        Self { items: vec![Member { index, seen }], deltas, closed: alone, bytes }
    }

    /// Takes an item in, if it fits.
    fn take(&mut self, ready: &Ready) -> bool {
        if self.closed || ready.alone || self.bytes + ready.bytes > TRANSACTION_BYTES / 2 {
            return false;
        }
        let mut deltas = BTreeMap::new();
        for (name, delta) in &ready.deltas {
            let merged = self.deltas.get(name).map_or_else(|| Some(delta.clone()), |stored| stored.merged(delta));
            let Some(merged) = merged else { return false };
            deltas.insert(name, merged);
        }
        let others = self.deltas.iter().filter(|(name, _)| !deltas.contains_key(name));
        let rows = others.map(|(_, delta)| delta).chain(deltas.values()).map(Delta::actions);
        if self.items.len() + 1 + rows.sum::<usize>() > TRANSACTION_ACTIONS {
            return false;
        }
        self.deltas.extend(deltas.into_iter().map(|(name, delta)| (name.clone(), delta)));
        self.items.push(Member { index: ready.index, seen: ready.seen.clone() });
        self.bytes += ready.bytes;
        true
    }
}

/// About as many bytes as shares take, in the ledger and in projected rows.
pub(super) fn bytes(shares: &Shares) -> usize {
    const AROUND: usize = 400;
    let share = |(name, share): (&RowName, &Share)| {
        let numbers: usize = share.amounts.keys().map(|name| name.len() + 25).sum();
        let marks = share.marks.iter().map(|(mark, extreme)| {
            let value = item([("v", extreme.value.clone())]);
            3 * (mark.name.len() + mark.order.len() + item_size(&value)) + AROUND
        });
        let projected = share.projected.as_ref().map_or(0, item_size);
        2 * (name.partition.len() + name.sort.len() + numbers) + marks.sum::<usize>() + projected + AROUND
    };
    AROUND + shares.iter().map(share).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{Contribution, delta::between, layout::Layout, share::contributed};

    fn ready(index: usize, rows: &[usize]) -> Ready {
        let contributions = rows.iter().map(|row| Contribution::to("p", format!("{row:03}")).count("n")).collect();
        let source = format!("item {index}");
        let shares = contributed(&Layout::new("v"), &source, contributions).unwrap();
        let deltas = between(&Shares::new(), &shares, &source, false).unwrap();
        Ready { index, alone: false, seen: None, deltas, bytes: bytes(&shares) }
    }

    fn sizes(ready: Vec<Ready>) -> Vec<Vec<usize>> {
        waves(ready).iter().map(|wave| wave.iter().map(|transaction| transaction.items.len()).collect()).collect()
    }

    #[test]
    fn transactions_are_full_and_those_of_one_row_go_one_after_another() {
        assert_eq!(sizes((0..200).map(|index| ready(index, &[7])).collect()), [vec![99], vec![99], vec![2]]);
        assert_eq!(sizes((0..200).map(|index| ready(index, &[])).collect()), [[100, 100]]);
        assert_eq!(sizes((0..200).map(|index| ready(index, &[index])).collect()), [[50, 50, 50, 50]]);
    }

    #[test]
    fn no_two_transactions_of_a_wave_share_a_row() {
        let all = (0..1_000).map(|index| ready(index, &[index % 13, index % 7, 99])).collect();
        for wave in waves(all) {
            let rows: Vec<_> = wave.iter().flat_map(|transaction| transaction.deltas.keys()).collect();
            assert_eq!(rows.iter().collect::<std::collections::HashSet<_>>().len(), rows.len());
        }
    }

    #[test]
    fn who_has_to_go_alone_does() {
        let mut all: Vec<_> = (0..5).map(|index| ready(index, &[index])).collect();
        all[2].alone = true;
        assert_eq!(sizes(all), [[2, 1, 2]]);
    }
}
