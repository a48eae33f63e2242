//! Exactly what was planted is found, and repaired: nothing else.

use std::{collections::BTreeMap, sync::Arc};

use anabranch::{
    dispatch::Dispatcher,
    record::NewImage,
    replica::{Replica, Shape, Tombstones},
    router::Router,
    sink::table::{Item, Memory, RowWrite, Table, item, text},
    source::backfill::verify::{Report, Verify},
};
use proptest::prelude::*;

use crate::world::{Pages, Source, deliver, key, number, paused};

/// What is done to a row behind the replica's back.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// The row goes.
    Lost,
    /// It says something else, under the version that it has.
    Altered,
    /// It says something else, and has no version.
    Overwritten,
    /// A tombstone of a deletion that never was stands in its place.
    Buried,
}

#[derive(Debug, Clone)]
struct Case {
    items: usize,
    faults: BTreeMap<usize, Fault>,
    /// Rows that no item has.
    extra: Vec<usize>,
    tombstones: bool,
    shaped: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let fault = prop_oneof![Just(Fault::Lost), Just(Fault::Altered), Just(Fault::Overwritten), Just(Fault::Buried)];
    let faults = prop::collection::btree_map(0_usize..40, fault, 0..8);
    let extra = prop::collection::btree_set(100_usize..120, 0..5);
    (0_usize..40, faults, extra, any::<bool>(), any::<bool>()).prop_map(|(items, faults, extra, tombstones, shaped)| {
        let faults = faults.into_iter().filter(|(n, _)| *n < items && !(shaped && n % 5 == 0)).collect();
        Case { items, faults, extra: extra.into_iter().collect(), tombstones, shaped }
    })
}

fn pet(n: usize) -> Item {
    item([
        ("PK", key(n)["PK"].clone()),
        ("name", text(format!("pet {n}"))),
        ("weight", number(n)),
        ("secret", text("s")),
    ])
}

fn replica(target: &Arc<Memory>, case: &Case) -> Replica {
    let mut replica = Replica::new(target.clone());
    if case.tombstones {
        replica = replica.tombstones(Tombstones::keep(std::time::Duration::from_secs(86_400)));
    }
    if case.shaped {
        let wanted = |row: &Item| !row["weight"].as_n_ends_with_0_or_5();
        replica = replica.shape(Shape::new().only_if(wanted).drop("secret").rename("name", "called"));
    }
    replica
}

trait Weight {
    fn as_n_ends_with_0_or_5(&self) -> bool;
}

impl Weight for anabranch::sink::table::AttributeValue {
    fn as_n_ends_with_0_or_5(&self) -> bool {
        matches!(self, Self::N(n) if n.ends_with('0') || n.ends_with('5'))
    }
}

async fn plant(target: &Memory, case: &Case) {
    let rows: BTreeMap<_, _> = target.rows().into_iter().map(|row| (format!("{:?}", row["PK"]), row)).collect();
    for (n, fault) in &case.faults {
        let key = key(*n);
        let mut row = rows[&format!("{:?}", key["PK"])].clone();
        row.insert("weight".to_owned(), number(1_000));
        let write = match fault {
            Fault::Lost => RowWrite::delete(key),
            Fault::Altered => RowWrite::put(key, row),
            Fault::Overwritten => {
                row.remove("anabranchVersion");
                RowWrite::put(key, row)
            }
            Fault::Buried => {
                let mut stone = key.clone();
                stone.insert("anabranchVersion".to_owned(), row["anabranchVersion"].clone());
                stone.insert("anabranchDeleted".to_owned(), number(7));
                RowWrite::put(key, stone)
            }
        };
        target.write_batch(&[write]).await.expect("it is planted");
    }
    for n in &case.extra {
        target.write_batch(&[RowWrite::put(key(*n), pet(*n))]).await.expect("it is planted");
    }
}

fn found(report: &Report) -> BTreeMap<String, String> {
    let finding = |finding: &anabranch::source::backfill::verify::Finding| {
        (format!("{:?}", finding.key().expect("an item")["PK"]), finding.difference().to_string())
    };
    report.findings.iter().map(finding).collect()
}

fn expected(case: &Case) -> BTreeMap<String, String> {
    let name = |n: usize| format!("{:?}", key(n)["PK"]);
    let faults = case.faults.iter().map(|(n, fault)| match fault {
        Fault::Lost | Fault::Buried => (name(*n), "missing".to_owned()),
        Fault::Altered | Fault::Overwritten => (name(*n), "different in weight".to_owned()),
    });
    faults.chain(case.extra.iter().map(|n| (name(*n), "extra".to_owned()))).collect()
}

async fn play(case: Case) -> Result<(), TestCaseError> {
    let (source, target) = (Source::new(), Arc::new(Memory::new("Target", ["PK"])));
    let dispatcher = Dispatcher::new(Router::<NewImage>::new().every(replica(&target, &case)));
    let mut changes = Vec::new();
    for n in 0..case.items {
        changes.push(source.put(pet(n)).await);
    }
    // Some that were there, and are gone.
    for n in 50..55 {
        changes.push(source.put(pet(n)).await);
        changes.push(source.remove(&key(n)).await);
    }
    deliver(&dispatcher, changes).await;
    let verify = Verify::replica(source.rows(), replica(&target, &case), Pages::of(&target, &["PK"]));
    let before = verify.run().await.expect("tables in memory");
    prop_assert!(before.is_equal() && before.differences() == 0, "{before}");

    plant(&target, &case).await;
    let report = verify.run().await.expect("tables in memory");
    prop_assert_eq!(found(&report), expected(&case));
    prop_assert_eq!(report.differences() as usize, case.faults.len() + case.extra.len());
    prop_assert_eq!(report.is_equal(), report.differences() == 0);

    let repaired = verify.clone().repairing().run().await.expect("tables in memory");
    prop_assert_eq!(found(&repaired), expected(&case));
    prop_assert!(repaired.is_equal(), "{:?}", repaired.findings);
    let after = verify.run().await.expect("tables in memory");
    prop_assert_eq!(after.differences(), 0, "{}", after);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn exactly_what_was_planted_is_found_and_repaired(case in case()) {
        paused(play(case))?;
    }
}
