//! What every table keeps.

use futures_util::{StreamExt, future::join_all};

use crate::{
    record::Version,
    sink::table::{AttributeValue, Guard, Item, Limits, RowWrite, Table, TableError, Written, item, text, write_plain},
};

/// Holds a table to the promises of [`Table`].
///
/// The table is keyed by the strings `PK` and `SK`, and empty.
///
/// # Panics
/// If a promise does not hold.
pub async fn table(table: &dyn Table) {
    let suite = Suite { table };
    suite.guarded_writes_go_by_the_rule().await;
    suite.late_changes_go_over_changes_only().await;
    suite.a_put_replaces_the_row().await;
    suite.rows_without_a_version_give_way().await;
    suite.every_kind_of_attribute_survives().await;
    suite.the_latest_of_concurrent_writes_stays().await;
    suite.histories_end_as_the_rule_says().await;
    suite.batches_put_and_delete().await;
    suite.impossible_batches_are_refused().await;
    suite.rows_that_do_not_fit_are_rejected().await;
}

struct Suite<'a> {
    table: &'a dyn Table,
}

impl Suite<'_> {
    async fn write(&self, write: RowWrite, version: &str) -> Written {
        let written = self.table.write_guarded(write, Guard::new("version", version)).await;
        written.expect("a write that nothing speaks against")
    }

    async fn stored(&self, key: &Item) -> Option<Item> {
        self.table.read(key.clone()).await.expect("a read that nothing speaks against")
    }

    async fn plain(&self, writes: Vec<RowWrite>) {
        let limits = Limits { concurrency: 1, until: None };
        let results: Vec<_> = write_plain(self.table, writes, limits).collect().await;
        for (index, result) in results {
            assert!(result.is_ok(), "plain write {index}: {result:?}");
        }
    }

    async fn guarded_writes_go_by_the_rule(&self) {
        let key = key("rule");
        let put = |name| RowWrite::put(key.clone(), named(&key, name));
        let delete = || RowWrite::delete(key.clone());
        let steps = [
            (delete(), "01", Written::Applied, None),
            (put("first"), "02", Written::Applied, Some("first")),
            (put("older"), "01", Written::Stale, Some("first")),
            (put("same"), "02", Written::Stale, Some("first")),
            (delete(), "02", Written::Stale, Some("first")),
            (put("newer"), "10", Written::Applied, Some("newer")),
            (delete(), "03", Written::Stale, Some("newer")),
            (delete(), "11", Written::Applied, None),
        ];
        for (at, (write, version, written, name)) in steps.into_iter().enumerate() {
            assert_eq!(self.write(write, version).await, written, "step {at}");
            let stored = self.stored(&key).await;
            assert_eq!(stored.as_ref().and_then(|row| row.get("name")), name.map(text).as_ref(), "step {at}");
        }
    }

    async fn late_changes_go_over_changes_only(&self) {
        let key = key("late");
        let guard = |version: Version| Guard::new("version", version);
        let change = |generation, number: &str| guard(Version::stream(generation, "2026", number));
        let put = |name| RowWrite::put(key.clone(), named(&key, name));
        let steps = [
            (put("snapshot"), guard(Version::snapshot(0, 5)), Written::Applied, Some("snapshot")),
            (put("late"), change(0, "1").over_changes(), Written::Stale, Some("snapshot")),
            (RowWrite::delete(key.clone()), change(0, "1").over_changes(), Written::Stale, Some("snapshot")),
            (put("right"), change(0, "1").putting_right(), Written::Applied, Some("right")),
            (put("again"), change(0, "1"), Written::Stale, Some("right")),
            (put("late"), change(0, "2").over_changes(), Written::Stale, Some("right")),
            (put("live"), change(0, "3"), Written::Applied, Some("live")),
            (put("late"), change(0, "2").over_changes(), Written::Stale, Some("live")),
            (put("late"), change(1, "2").over_changes(), Written::Stale, Some("live")),
            (put("next"), change(0, "4").over_changes(), Written::Applied, Some("next")),
            (RowWrite::delete(key.clone()), change(0, "5").over_changes(), Written::Applied, None),
            (put("new"), change(0, "6").over_changes(), Written::Applied, Some("new")),
        ];
        for (at, (write, guard, written, name)) in steps.into_iter().enumerate() {
            let came = self.table.write_guarded(write, guard).await;
            assert_eq!(came.expect("a write that nothing speaks against"), written, "step {at}");
            let stored = self.stored(&key).await;
            assert_eq!(stored.as_ref().and_then(|row| row.get("name")), name.map(text).as_ref(), "step {at}");
        }
    }

    async fn a_put_replaces_the_row(&self) {
        let key = key("replaced");
        let mut full = named(&key, "Rex");
        full.insert("gone".into(), text("soon"));
        self.write(RowWrite::put(key.clone(), full), "1").await;
        let mut expected = named(&key, "Max");
        self.write(RowWrite::put(key.clone(), expected.clone()), "2").await;
        expected.insert("version".into(), text("2"));
        assert_eq!(self.stored(&key).await, Some(expected), "only the new attributes and the version");
    }

    async fn rows_without_a_version_give_way(&self) {
        let (bare, foreign) = (key("bare"), key("foreign"));
        let mut numbered = named(&foreign, "kept");
        numbered.insert("version".into(), AttributeValue::N("1".into()));
        let rows = [(&bare, named(&bare, "gone")), (&foreign, numbered)];
        self.plain(rows.map(|(key, row)| RowWrite::put(key.clone(), row)).into()).await;
        assert_eq!(self.write(RowWrite::delete(bare.clone()), "2").await, Written::Applied);
        assert_eq!(self.stored(&bare).await, None);
        let why = "a version of another type does not give way";
        assert_eq!(self.write(RowWrite::delete(foreign.clone()), "2").await, Written::Stale, "{why}");
    }

    async fn every_kind_of_attribute_survives(&self) {
        for (name, guarded) in [("guarded kinds", true), ("plain kinds", false)] {
            let key = key(name);
            let mut row = kinds(&key);
            let put = RowWrite::put(key.clone(), row.clone());
            if guarded {
                self.write(put, "1").await;
                row.insert("version".into(), text("1"));
            } else {
                self.plain(vec![put]).await;
            }
            assert_eq!(self.stored(&key).await.map(sorted), Some(sorted(row)), "{name}");
        }
    }

    async fn the_latest_of_concurrent_writes_stays(&self) {
        let key = key("contended");
        let write = |number: usize| {
            let version = format!("{:02}", number * 7 % 20);
            let write = RowWrite::put(key.clone(), named(&key, &version));
            async move { self.write(write, &version).await }
        };
        join_all((0..20).map(write)).await;
        let stored = self.stored(&key).await.expect("twenty writes");
        assert_eq!(stored.get("name"), Some(&text("19")), "the highest version");
    }

    /// Puts and deletes of a few rows at random versions, against the rule applied by hand.
    async fn histories_end_as_the_rule_says(&self) {
        let mut noise = super::Noise::new(7);
        let mut rows: [Option<String>; 3] = [const { None }; 3];
        for step in 0..150 {
            let (row, version) = (noise.below(3), format!("{:03}", noise.below(200)));
            let key = key(&format!("history {row}"));
            let put = noise.below(4) > 0;
            let write = if put { RowWrite::put(key.clone(), key) } else { RowWrite::delete(key) };
            let wins = rows[row].as_ref().is_none_or(|stored| *stored < version);
            let expected = if wins { Written::Applied } else { Written::Stale };
            assert_eq!(self.write(write, &version).await, expected, "step {step}");
            if wins {
                rows[row] = put.then_some(version);
            }
        }
        for (row, version) in rows.into_iter().enumerate() {
            let stored = self.stored(&key(&format!("history {row}"))).await;
            assert_eq!(stored.and_then(|row| row.get("version").cloned()), version.map(text));
        }
    }

    async fn batches_put_and_delete(&self) {
        let keys: Vec<_> = (0..60).map(|number| key(&format!("batch {number}"))).collect();
        let put = |key: &Item| RowWrite::put(key.clone(), named(key, "Rex"));
        self.plain(keys.iter().map(put).collect()).await;
        let change = |(number, key): (usize, &Item)| match number % 2 {
            0 => RowWrite::delete(key.clone()),
            _ => RowWrite::put(key.clone(), named(key, "Max")),
        };
        self.plain(keys.iter().enumerate().map(change).collect()).await;
        for (number, key) in keys.iter().enumerate() {
            let expected = (number % 2 == 1).then(|| named(key, "Max"));
            assert_eq!(self.stored(key).await, expected, "row {number}");
        }
    }

    async fn impossible_batches_are_refused(&self) {
        let delete = |number: usize| RowWrite::delete(key(&format!("impossible {number}")));
        let twice = vec![delete(1), delete(2), delete(1)];
        for (case, batch) in [("a row twice", twice), ("26 rows", (0..26).map(delete).collect())] {
            let answer = self.table.write_batch(&batch).await;
            assert!(answer.is_err_and(|error| error.is_reject()), "{case}");
        }
    }

    async fn rows_that_do_not_fit_are_rejected(&self) {
        let fits = key("large");
        let large = |bytes| {
            let mut row = fits.clone();
            row.insert("large".into(), AttributeValue::B(vec![7; bytes]));
            RowWrite::put(fits.clone(), row)
        };
        self.write(large(400_000), "1").await;
        let giant = self.reject(large(500_000)).await;
        assert!(matches!(giant, TableError::TooLarge { .. }), "{giant:?}");
        let others = [
            item([("PK", text("a"))]),
            item([("PK", text("a")), ("other", text("b"))]),
            item([("PK", text("a")), ("SK", AttributeValue::Bool(true))]),
        ];
        for other in others {
            self.reject(RowWrite::put(other.clone(), other.clone())).await;
            self.reject(RowWrite::delete(other)).await;
        }
    }

    async fn reject(&self, write: RowWrite) -> TableError {
        let error = self.table.write_guarded(write, Guard::new("version", "9")).await;
        let error = error.expect_err("a row that does not fit");
        assert!(error.is_reject(), "no repetition helps: {error:?}");
        assert!(error.to_string().contains(self.table.name()), "the table is named: {error}");
        error
    }
}

fn key(name: &str) -> Item {
    item([("PK", text("CONFORMANCE")), ("SK", text(name))])
}

fn named(key: &Item, name: &str) -> Item {
    let mut row = key.clone();
    row.insert("name".into(), text(name));
    row
}

/// Every type that DynamoDB has, with values that a detour through JSON numbers or lists would spoil.
fn kinds(key: &Item) -> Item {
    let number = |text: &str| AttributeValue::N(text.into());
    let inner = item([("text", text("\u{1f415} \"\\ \u{1}")), ("no", AttributeValue::Null(true))]);
    let mut row = item([
        ("digits", number("12345678901234567890123456789012345678")),
        ("small", number("-0.00000000000000000000000000000000000001")),
        ("binary", AttributeValue::B((0..=255).collect())),
        ("empty", text("")),
        ("yes", AttributeValue::Bool(true)),
        ("strings", AttributeValue::Ss(vec!["a".into(), "b".into()])),
        ("numbers", AttributeValue::Ns(vec!["1".into(), "98765432109876543210".into()])),
        ("binaries", AttributeValue::Bs(vec![vec![0], vec![255]])),
        ("list", AttributeValue::L(vec![AttributeValue::M(inner.into_inner()), AttributeValue::L(vec![])])),
        ("map", AttributeValue::M(Default::default())),
    ]);
    row.extend(key.clone().into_inner());
    row
}

/// Sets have no order: a table may answer in another one.
fn sorted(mut row: Item) -> Item {
    for value in row.values_mut() {
        match value {
            AttributeValue::Ss(set) | AttributeValue::Ns(set) => set.sort_unstable(),
            AttributeValue::Bs(set) => set.sort_unstable(),
            _ => {}
        }
    }
    row
}
