//! Scans and queries over the embedded API, through a proxy that spoils answers.

use std::{collections::BTreeSet, time::Duration};

use anabranch::{
    scan::{ItemError, Page, Query, Scan, ScanError},
    testing::{
        embedded::{Embedded, PET_TRACKER},
        proxy::{Fault, FaultProxy},
    },
};
use aws_sdk_dynamodb::{
    Client,
    types::{
        AttributeDefinition, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
        ScalarAttributeType,
    },
};
use futures_util::{StreamExt, TryStreamExt};
use serde::Deserialize;

const PETS: usize = 300;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

#[derive(Debug, Deserialize)]
struct Pet {
    #[serde(rename = "SK")]
    sort: String,
}

struct Stage {
    embedded: Embedded,
    proxy: FaultProxy,
    client: Client,
}

impl Stage {
    async fn set() -> Result<Self> {
        let embedded = Embedded::start().await?;
        embedded.create_pet_tracker().await?;
        embedded.put_pets(PETS).await?;
        let proxy = FaultProxy::start(embedded.endpoint()).await?;
        let config = embedded.sdk_config().to_builder().endpoint_url(proxy.endpoint()).build();
        Ok(Self { embedded, client: Client::new(&config), proxy })
    }

    /// A scan with enough pages for something to go wrong.
    fn scan(&self) -> Scan {
        Scan::new(&self.client, PET_TRACKER).segments(8).workers(3).page_limit(10)
    }

    async fn strike(self) -> Result {
        Ok(self.embedded.stop().await?)
    }
}

fn assert_all(pets: &[Pet]) {
    let sorts: BTreeSet<_> = pets.iter().map(|pet| pet.sort.as_str()).collect();
    assert_eq!((pets.len(), sorts.len()), (PETS, PETS), "every pet once");
}

#[tokio::test]
async fn everything_is_read_once() -> Result {
    let stage = Stage::set().await?;
    let mut pets = stage.scan().typed::<Pet>();
    assert_all(&pets.by_ref().try_collect::<Vec<_>>().await?);
    assert!(pets.checkpoint().is_done() && pets.progress().units > 0.0);
    let all: Vec<Pet> = Scan::new(&stage.client, PET_TRACKER).consistent().typed().try_collect().await?;
    assert_all(&all);
    stage.strike().await
}

#[tokio::test]
async fn what_passes_is_survived_without_loss_or_repetition() -> Result {
    let stage = Stage::set().await?;
    for fault in [Fault::Throttle, Fault::Status(500), Fault::Cut, Fault::Lose, Fault::Slow(Duration::from_millis(30))]
    {
        stage.proxy.set_faults(move |asked| if asked.number % 5 == 2 { fault } else { Fault::None });
        let mut pets = stage.scan().typed::<Pet>();
        assert_all(&pets.by_ref().try_collect::<Vec<_>>().await.map_err(|error| format!("{fault:?}: {error:?}"))?);
        assert_eq!(pets.progress().throttled > 0, fault == Fault::Throttle);
    }
    stage.strike().await
}

#[tokio::test]
async fn an_old_answer_is_an_error_and_the_scan_resumes() -> Result {
    let stage = Stage::set().await?;
    for fault in [Fault::Repeat, Fault::RepeatKey] {
        let begun = stage.proxy.count("Scan");
        stage.proxy.set_faults(move |asked| if asked.number == begun + 5 { fault } else { Fault::None });
        let scan = Scan::new(&stage.client, PET_TRACKER).page_limit(10);
        let mut items = scan.clone().typed::<Pet>();
        let mut pets = Vec::new();
        let error = loop {
            match items.next().await.expect("an error before the end") {
                Ok(pet) => pets.push(pet),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, ScanError::RepeatedKey { .. }), "{fault:?}: {error:?}");
        assert_eq!((pets.len(), items.checkpoint().is_done()), (40, false));
        let rest = scan.resume(error.cursor().cloned()).typed::<Pet>();
        pets.extend(rest.try_collect::<Vec<_>>().await?);
        assert_all(&pets);
    }
    stage.strike().await
}

#[tokio::test]
async fn a_segment_that_cannot_be_read_fails_the_scan_and_nothing_is_lost() -> Result {
    let stage = Stage::set().await?;
    stage.proxy.set_faults(|asked| {
        let broken = asked.body["Segment"] == 5 && asked.body.get("ExclusiveStartKey").is_some();
        if broken { Fault::Status(501) } else { Fault::None }
    });
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let job = stage.scan().for_each_batch(7, 2, move |batch: Vec<std::result::Result<Pet, ItemError>>| {
        for pet in batch {
            sender.send(pet.expect("a pet")).expect("the receiver is kept");
        }
        std::future::ready(Ok::<_, ItemError>(()))
    });
    let error = job.await.expect_err("segment 5 is broken");
    assert!(matches!(&*error.error, ScanError::Failed { cursor, .. } if cursor.segment() == 5), "{error:?}");
    stage.proxy.set_faults(|_| Fault::None);
    let rest = stage.scan().resume(error.report.checkpoint.into_cursors()).typed::<Pet>();
    let mut pets: Vec<Pet> = rest.try_collect().await?;
    while let Some(pet) = receiver.recv().await {
        pets.push(pet);
    }
    let sorts: BTreeSet<_> = pets.iter().map(|pet| &pet.sort).collect();
    assert_eq!(sorts.len(), PETS, "none missed");
    assert!(pets.len() <= PETS + 8 * 10, "at most a page of each segment twice: {}", pets.len());
    stage.strike().await
}

#[tokio::test]
async fn a_throttled_table_slows_the_scan_down() -> Result {
    let stage = Stage::set().await?;
    stage.proxy.set_faults(|asked| if asked.number < 4 { Fault::Throttle } else { Fault::None });
    let pages: Vec<Page> = Scan::new(&stage.client, PET_TRACKER).pages().try_collect().await?;
    assert_eq!((pages[0].throttled(), pages[0].len()), (3, PETS));
    stage.strike().await
}

#[tokio::test]
async fn names_may_be_reserved_and_projections_keep_the_keys() -> Result {
    let stage = Stage::set().await?;
    let scan = stage.scan().filter("name = :name OR size > :none").value(":name", "Pet 7").value(":none", 0);
    let pages: Vec<Page> = scan.project(["name"]).pages().try_collect().await?;
    let items: Vec<_> =
        pages.iter().flat_map(Page::raw_items).map(|item| item.item()).collect::<std::result::Result<_, _>>()?;
    let [item] = items.as_slice() else { panic!("one pet") };
    let mut names: Vec<_> = item.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["PK", "SK", "name"]);
    assert!(pages.iter().filter(|page| page.is_empty()).count() > 20, "empty pages on the way");
    stage.strike().await
}

#[tokio::test]
async fn queries_read_one_partition_in_order() -> Result {
    let stage = Stage::set().await?;
    let query = || {
        Query::new(&stage.client, PET_TRACKER, "PK = :owner AND begins_with(SK, :pet)")
            .value(":owner", "USER#000003")
            .value(":pet", "PET#")
    };
    let forward: Vec<Pet> = query().page_limit(2).typed().try_collect().await?;
    let sorts: Vec<_> = forward.iter().map(|pet| pet.sort.as_str()).collect();
    assert_eq!(
        sorts,
        ["PET#000021", "PET#000022", "PET#000023", "PET#000024", "PET#000025", "PET#000026", "PET#000027"]
    );
    let backward: Vec<Pet> = query().backward().take(2).typed().try_collect().await?;
    assert_eq!(backward.iter().map(|pet| pet.sort.as_str()).collect::<Vec<_>>(), ["PET#000027", "PET#000026"]);
    stage.strike().await
}

#[tokio::test]
async fn indexes_are_read_and_resumed() -> Result {
    let stage = Stage::set().await?;
    let text =
        |name: &str| AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build();
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let index = GlobalSecondaryIndex::builder()
        .index_name("bySpecies")
        .key_schema(key("species", KeyType::Hash)?)
        .key_schema(key("SK", KeyType::Range)?)
        .projection(Projection::builder().projection_type(ProjectionType::All).build())
        .build()?;
    let create = stage.embedded.dynamodb().create_table().table_name("Indexed").global_secondary_indexes(index);
    let create = create
        .attribute_definitions(text("PK")?)
        .attribute_definitions(text("SK")?)
        .attribute_definitions(text("species")?);
    let create = create.key_schema(key("PK", KeyType::Hash)?).key_schema(key("SK", KeyType::Range)?);
    create.billing_mode(aws_sdk_dynamodb::types::BillingMode::PayPerRequest).send().await?;
    for page in Scan::new(&stage.client, PET_TRACKER).pages().try_collect::<Vec<_>>().await? {
        for item in page.raw_items().take(60) {
            stage.client.put_item().table_name("Indexed").set_item(Some(item.item()?.into())).send().await?;
        }
    }
    let query = || {
        Query::new(&stage.client, "Indexed", "species = :dog")
            .value(":dog", "dog")
            .index("bySpecies")
            .page_limit(3)
            .project(["name"])
    };
    let first = query().pages().next().await.expect("a page")?;
    let rest: Vec<_> = query().resume(first.cursor().cloned()).items().try_collect().await?;
    assert_eq!((first.len(), rest.len()), (3, 17));
    for name in ["PK", "SK", "species", "name"] {
        assert!(rest[0].attribute(name)?.is_some(), "{name}");
    }
    assert!(matches!(query().consistent().cursors(), Err(ScanError::ConsistentIndex { .. })));
    assert_eq!(Scan::new(&stage.client, "Indexed").index("bySpecies").segments(2).items().count().await, 60);
    stage.strike().await
}

#[tokio::test]
async fn a_table_that_is_not_there_is_named() -> Result {
    let stage = Stage::set().await?;
    for scan in [Scan::new(&stage.client, "Missing"), Scan::new(&stage.client, "Missing").project(["name"])] {
        let error = scan.pages().next().await.expect("an error").expect_err("no such table");
        assert!(matches!(error, ScanError::NoSuchTable { .. }), "{error:?}");
        assert!(error.to_string().contains("table `Missing` does not exist; correct the name"), "{error}");
    }
    stage.strike().await
}
