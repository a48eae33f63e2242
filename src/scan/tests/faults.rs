//! What goes wrong, and where it goes on from.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_repeated_key_is_an_error_and_not_the_end() {
    let (client, _) = played(0, |number, request, (status, mut page)| {
        if number == 5 {
            page["LastEvaluatedKey"] = request["ExclusiveStartKey"].clone();
        }
        (status, page)
    })
    .await;
    let mut pages = Scan::new(&client, "Pets").pages();
    let good = pages.by_ref().take(4).try_collect::<Vec<_>>().await.unwrap();
    let error = pages.next().await.unwrap().unwrap_err();
    assert!(matches!(error, ScanError::RepeatedKey { .. }), "{error:?}");
    assert_eq!(error.cursor(), good[3].cursor());
    assert!(pages.next().await.is_none() && !pages.checkpoint().is_done());
}

#[tokio::test(start_paused = true)]
async fn a_failed_segment_fails_the_scan_and_is_resumed_where_it_stood() {
    let (client, _) = played(0, |_, request, answer| {
        let dead = request["Segment"] == json!(2) && request["ExclusiveStartKey"]["id"]["N"] == json!("42");
        if dead { double::error(400, "ValidationException", "broken") } else { answer }
    })
    .await;
    let scan = Scan::new(&client, "Pets").segments(8).workers(3);
    let mut items = scan.clone().typed::<One>();
    let mut read = Vec::new();
    let error = loop {
        match items.next().await.unwrap() {
            Ok(item) => read.push(item),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ScanError::Refused { .. }), "{error:?}");
    assert_eq!(error.to_string(), "the request for segment 2 of 8 of table `Pets` is refused");
    let cursor = error.cursor().unwrap();
    assert_eq!((cursor.segment(), cursor.key().is_some()), (2, true));
    assert!(items.next().await.is_none(), "nothing behind an error");
    let left: Vec<Cursor> = items.checkpoint().cursors().cloned().collect();
    assert!(left.contains(cursor));
    // The next day the table is well again, and cursors come back from where they were stored.
    let stored = serde_json::to_string(&left).unwrap();
    let (client, _) = table().await;
    let scan = Scan::new(&client, "Pets").segments(8).workers(3);
    let cursors: Vec<Cursor> = serde_json::from_str(&stored).unwrap();
    let rest: Vec<One> = scan.resume(cursors).typed().try_collect().await.unwrap();
    assert_eq!(ids(read.into_iter().chain(rest)), everything(), "none missed, none twice");
}

#[tokio::test(start_paused = true)]
async fn throttles_are_waited_out() {
    let throttle = || double::error(400, "ProvisionedThroughputExceededException", "slow down");
    let (client, _) = played(1, move |number, _, answer| if number % 40 > 10 { throttle() } else { answer }).await;
    let mut pages = Scan::new(&client, "Pets").pages();
    let read: Vec<_> = pages.by_ref().try_collect().await.unwrap();
    assert_eq!(read.iter().map(Page::len).sum::<usize>(), ITEMS);
    assert!(pages.progress().throttled > 0);
    let (client, requests) = played(1, move |_, _, _| throttle()).await;
    let error = Scan::new(&client, "Pets").pages().next().await.unwrap().unwrap_err();
    assert!(matches!(error, ScanError::Throttled { rounds: 13, .. }), "{error:?}");
    assert_eq!(error.cursor().unwrap().key(), None);
    assert!(count(&requests) > 13);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_is_refused_before_any_request() {
    let (client, requests) = table().await;
    let scan = || Scan::new(&client, "Pets");
    let other = Scan::new(&client, "Owners").cursors().unwrap();
    let segments = scan().segments(4).cursors().unwrap();
    let filtered = scan().filter("a = :a").value(":a", 1).cursors().unwrap();
    for (scan, message) in [
        (scan().index("byName").consistent(), "index `byName` cannot be read consistently: a global secondary index"),
        (scan().segments(0), "the number of segments is 0, and has to be from 1 to 1,000,000"),
        (scan().segments(1_000_001), "the number of segments is 1000001"),
        (scan().workers(0), "the number of workers is 0"),
        (scan().page_limit(0), "the page limit is 0"),
        (scan().count_only().take(5), "the number of items to take is 5, and has to be left out"),
        (scan().count_only().project(["name"]), "the number of projected paths is 1, and has to be 0"),
        (scan().value(":v", HashMap::from([((1, 2), 3)])), "the value of `:v`"),
        (scan().resume(other), "the table of the cursor is Owners, of this scan Pets"),
        (scan().resume(segments), "the number of segments of the cursor is 4, of this scan 1"),
        (scan().resume(filtered), "the request (filter, key condition, names or values) of the cursor is"),
    ] {
        let error = scan.cursors().unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
        let mut pages = scan.pages();
        assert!(pages.next().await.unwrap().is_err() && pages.next().await.is_none());
    }
    assert_eq!(count(&requests), 0);
    assert!(scan().local_index("byName").consistent().cursors().is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_item_that_does_not_decode_fails_alone() {
    let (client, _) = played(0, |number, _, (status, mut page)| {
        if number == 2 {
            page["Items"][1]["id"] = json!({"S": "secret"});
        }
        (status, page)
    })
    .await;
    let mut items = Scan::new(&client, "Pets").typed::<One>();
    let read: Vec<_> = items.by_ref().collect().await;
    assert_eq!((read.len(), items.progress().bad_items), (ITEMS, 1));
    let error = read[4].as_ref().unwrap_err();
    let item = error.item().unwrap();
    assert_eq!(
        (item.error().path(), item.raw().attribute("id").unwrap().as_deref()),
        ("Items[1].id.S", Some("secret"))
    );
    assert!(!format!("{error} {error:?}").contains("secret"));
    assert!(read.iter().enumerate().all(|(at, item)| (at == 4) == item.is_err()));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_damaged_fails_with_its_cursor() {
    let (client, _) = played(0, |number, _, (status, mut page)| {
        if number == 3 {
            page["Count"] = json!(7);
        }
        (status, page)
    })
    .await;
    let mut pages = Scan::new(&client, "Pets").pages();
    let second = pages.by_ref().take(2).try_collect::<Vec<_>>().await.unwrap().pop().unwrap();
    let error = pages.next().await.unwrap().unwrap_err();
    assert!(matches!(error, ScanError::Page { .. }) && error.cursor() == second.cursor(), "{error:?}");
}
