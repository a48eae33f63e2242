//! Views against their table: the ledger, the rows of a projection, and the sums of an aggregate.

use std::sync::Arc;

use anabranch::{
    dispatch::Dispatcher,
    record::NewImage,
    router::Router,
    sink::table::{AttributeValue, Item, Memory, RowWrite, Table, item, text},
    source::backfill::verify::{Report, Verify},
    view::{Contribution, Row, View},
};
use proptest::prelude::*;

use crate::world::{Pages, Source, deliver, key, number, paused};

#[derive(serde::Deserialize)]
struct Pet {
    #[serde(rename = "PK")]
    id: String,
    species: String,
    weight: u32,
}

const SPECIES: [&str; 3] = ["cat", "dog", "emu"];

fn pet(n: usize, weight: usize) -> Item {
    let attributes = [("species", text(SPECIES[n % 3])), ("weight", number(weight)), ("entityType", text("PET"))];
    let mut pet = key(n);
    pet.extend(attributes.map(|(name, value)| (name.to_owned(), value)));
    pet
}

fn sums(table: &Arc<Memory>) -> View<Pet> {
    let view = View::aggregate("sums", table.clone(), |pet: &Pet| {
        let order = format!("{:05}", pet.weight);
        vec![
            Contribution::to("SPECIES", &*pet.species)
                .count("pets")
                .sum("weight", pet.weight)
                .max("heaviest", pet.weight)
                .last("last", order, text(&*pet.id))
                .label("kind", &*pet.species),
        ]
    });
    view.shards(3)
}

fn names(table: &Arc<Memory>) -> View<Pet> {
    View::project("names", table.clone(), |pet: &Pet| {
        let row = |part| Row::at(format!("{part}#{}", pet.species), &*pet.id).set("weight", number(pet.weight));
        if pet.weight.is_multiple_of(2) { vec![row("EVEN"), row("ALL")] } else { vec![row("ALL")] }
    })
}

fn is_pet(item: &Item) -> bool {
    item.get("entityType") == Some(&text("PET"))
}

struct World {
    source: Source,
    views: Arc<Memory>,
    live: Dispatcher,
}

impl World {
    async fn of(pets: usize) -> Self {
        let (source, views) = (Source::new(), Arc::new(Memory::new("Views", ["PK", "SK"])));
        let router = Router::<NewImage>::new().every(sums(&views)).every(names(&views));
        let live = Dispatcher::new(router);
        let world = Self { source, views, live };
        let mut changes = Vec::new();
        for n in 0..pets {
            changes.push(world.source.put(pet(n, n)).await);
        }
        for n in 90..95 {
            changes.push(world.source.put(pet(n, n)).await);
            changes.push(world.source.remove(&key(n)).await);
        }
        deliver(&world.live, changes).await;
        world
    }

    fn sums(&self) -> Verify {
        Verify::view(self.source.rows(), sums(&self.views), Pages::of(&self.views, &["PK", "SK"]), is_pet)
    }

    fn names(&self) -> Verify {
        Verify::view(self.source.rows(), names(&self.views), Pages::of(&self.views, &["PK", "SK"]), is_pet)
    }

    /// Changes a row of the views behind their back.
    async fn change(&self, partition: &str, sort: &str, change: impl FnOnce(&mut Item)) {
        let key = item([("PK", text(partition)), ("SK", text(sort))]);
        let mut row = self.views.read(key.clone()).await.expect("a table in memory").expect("the row is there");
        change(&mut row);
        self.views.write_batch(&[RowWrite::put(key, row)]).await.expect("it is written");
    }

    async fn delete(&self, partition: &str, sort: &str) {
        let key = item([("PK", text(partition)), ("SK", text(sort))]);
        self.views.write_batch(&[RowWrite::delete(key)]).await.expect("it is written");
    }
}

async fn run(verify: &Verify) -> Report {
    verify.run().await.expect("tables in memory")
}

fn lines(report: &Report) -> Vec<String> {
    let mut lines: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn views_that_are_right_are_equal() {
    paused(async {
        let world = World::of(20).await;
        let sums = run(&world.sums()).await;
        assert_eq!((sums.differences(), sums.source, sums.target, sums.totals), (0, 20, 20, 3), "{sums}");
        let names = run(&world.names()).await;
        assert_eq!((names.differences(), names.source, names.totals), (0, 20, 0), "{names}");
        assert_eq!(names.target, 20 + 10 + 20, "ledger rows, and rows of each pet");
    });
}

#[test]
fn lost_changes_are_found_in_ledger_and_sums_and_repaired_in_both() {
    paused(async {
        let world = World::of(9).await;
        // None of these reaches the views.
        world.source.put(pet(3, 77)).await;
        world.source.put(pet(30, 30)).await;
        world.source.remove(&key(4)).await;
        let report = run(&world.sums()).await;
        let expected = [
            "different in anabranchItems, heaviest, last, pets, weight", // cats: one more, and one heavier
            "different in anabranchItems, pets, weight",                 // dogs: one less, and not the heaviest
            "different in heaviest, last, weight",
            "extra",
            "missing",
        ];
        assert_eq!(lines(&report), expected);
        let repaired = world.sums().repairing().run().await.expect("tables in memory");
        assert_eq!((repaired.differences(), repaired.repaired), (3, 3), "the sums come with the ledger: {repaired}");
        assert_eq!(run(&world.sums()).await.differences(), 0);
        let repaired = world.names().repairing().run().await.expect("tables in memory");
        assert_eq!(lines(&repaired), ["different in weight; put right", "extra; put right", "missing; put right"]);
        assert_eq!(run(&world.names()).await.differences(), 0);
    });
}

#[test]
fn a_sum_that_its_ledger_does_not_come_to_is_found_and_not_repaired() {
    paused(async {
        let world = World::of(9).await;
        let shard = world.views.rows().into_iter().find(|row| row["PK"] == text("SPECIES")).expect("a sum");
        let AttributeValue::S(sort) = &shard["SK"] else { panic!("a text") };
        world.change("SPECIES", sort, |row| drop(row.insert("weight".to_owned(), number(1_000)))).await;
        let report = run(&world.sums()).await;
        assert_eq!(lines(&report), ["different in weight"]);
        let repaired = world.sums().repairing().run().await.expect("tables in memory");
        assert!(!repaired.is_equal() && lines(&repaired)[0].contains("under a new name"), "{repaired:?}");
        // Of a sample no sum can be made; the ledger is right.
        assert_eq!(world.sums().sample(50).run().await.expect("tables in memory").differences(), 0);
    });
}

#[test]
fn a_row_that_nobody_adds_to_is_extra() {
    paused(async {
        let world = World::of(9).await;
        let row = item([
            ("PK", text("SPECIES")),
            ("SK", text("fox#shard-000")),
            ("pets", number(1)),
            ("anabranchItems", number(1)),
            ("anabranchView", text("sums")),
        ]);
        let key = item([("PK", text("SPECIES")), ("SK", text("fox#shard-000"))]);
        world.views.write_batch(&[RowWrite::put(key, row)]).await.expect("it is planted");
        let report = run(&world.sums()).await;
        assert_eq!(lines(&report), ["extra"]);
        assert_eq!(report.findings[0].key().expect("the row's")["SK"], text("fox"));
    });
}

#[test]
fn a_repair_never_brings_an_older_state_back() {
    paused(async {
        let world = World::of(9).await;
        let lost = world.source.put(pet(3, 77)).await;
        assert!(world.sums().repairing().run().await.expect("tables in memory").is_equal());
        // It comes after all, and another one; then both once more.
        let next = world.source.put(pet(3, 78)).await;
        deliver(&world.live, [lost.clone(), next.clone()]).await;
        deliver(&world.live, [lost, next]).await;
        assert_eq!(run(&world.sums()).await.differences(), 0);
        assert_eq!(run(&world.names()).await.differences(), 0);
    });
}

#[test]
fn items_of_other_types_and_unreadable_ones_are_no_differences() {
    paused(async {
        let world = World::of(9).await;
        world.source.put(item([("PK", key(70)["PK"].clone()), ("entityType", text("USER"))])).await;
        // Its handler rejects it, so that the views hold what it was before.
        world.source.put(item([("PK", key(2)["PK"].clone()), ("entityType", text("PET"))])).await;
        for verify in [world.sums(), world.names()] {
            let report = run(&verify).await;
            assert_eq!((report.differences(), report.source, report.unreadable), (0, 9, 1), "{report}");
        }
    });
}

/// What is done to a projection behind its back.
#[derive(Debug, Clone, Copy)]
enum Fault {
    RowLost,
    RowAltered,
    LedgerLost,
    /// A row that says it is the item's, and that the item does not have.
    Stray,
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![Just(Fault::RowLost), Just(Fault::RowAltered), Just(Fault::LedgerLost), Just(Fault::Stray)]
}

async fn plant(world: &World, n: usize, fault: Fault) -> &'static str {
    let (partition, id) = (format!("ALL#{}", SPECIES[n % 3]), format!("PET#{n}"));
    match fault {
        Fault::RowLost => {
            world.delete(&partition, &id).await;
            // An odd pet has no other row.
            if n.is_multiple_of(2) { "different in PK, SK" } else { "missing" }
        }
        Fault::RowAltered => {
            world.change(&partition, &id, |row| drop(row.insert("weight".to_owned(), number(1_000)))).await;
            "different in weight"
        }
        Fault::LedgerLost => {
            world.delete(&format!("anabranch#names#SPET%23{n}"), "ledger").await;
            "missing"
        }
        Fault::Stray => {
            let key = item([("PK", text("STRAY")), ("SK", text(id))]);
            let mut row = key.clone();
            row.insert("anabranchView".to_owned(), text("names"));
            row.insert("anabranchOwner".to_owned(), text(format!("SPET%23{n}")));
            world.views.write_batch(&[RowWrite::put(key, row)]).await.expect("it is planted");
            "extra"
        }
    }
}

async fn play(pets: usize, faults: Vec<(usize, Fault)>) -> Result<(), TestCaseError> {
    let world = World::of(pets).await;
    let mut expected = Vec::new();
    for (n, fault) in faults {
        expected.push(plant(&world, n, fault).await);
    }
    expected.sort_unstable();
    let report = run(&world.names()).await;
    prop_assert_eq!(lines(&report), expected.clone());
    let repaired = world.names().repairing().run().await.expect("tables in memory");
    prop_assert!(repaired.is_equal(), "{:?}", lines(&repaired));
    prop_assert_eq!(repaired.differences() as usize, expected.len());
    let after = run(&world.names()).await;
    prop_assert_eq!(after.differences(), 0, "{:?}", lines(&after));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn exactly_what_was_planted_in_a_projection_is_found_and_repaired(
        pets in 1_usize..30,
        faults in prop::collection::btree_map(0_usize..30, fault(), 0..6),
    ) {
        let faults = faults.into_iter().filter(|(n, _)| *n < pets).collect();
        paused(play(pets, faults))?;
    }
}
