//! What is read, in which order and how often.

use super::*;

#[tokio::test(start_paused = true)]
async fn every_item_is_read_once_in_order_of_its_segment() {
    let (client, requests) = table().await;
    let mut pages = Scan::new(&client, "Pets").pages();
    assert_eq!(count(&requests), 0, "lazy");
    let mut read = Vec::new();
    while let Some(page) = pages.try_next().await.unwrap() {
        assert_eq!((page.segment(), page.units(), page.scanned()), (0, Some(page.len() as f64), page.len() as u64));
        read.extend(page.decode::<One>().map(|item| item.unwrap().id));
    }
    assert_eq!(read, everything());
    let progress = pages.progress();
    assert_eq!((progress.pages, progress.items, progress.units, progress.segments_done), (34, 100, 100.0, 1));
    assert!(pages.checkpoint().is_done());
}

#[tokio::test(start_paused = true)]
async fn segments_are_read_side_by_side() {
    for (segments, workers) in [(1, 1), (7, 3), (64, 8), (8, 64), (200, 4)] {
        let (client, requests) = played(20, |_, _, answer| answer).await;
        let begin = Instant::now();
        let scan = Scan::new(&client, "Pets").segments(segments).workers(workers);
        let mut items = scan.typed::<One>();
        let read: Vec<_> = items.by_ref().try_collect().await.unwrap();
        assert_eq!(ids(read), everything());
        assert!(items.checkpoint().is_done() && items.progress().segments_done == segments);
        let rounds = (begin.elapsed().as_millis() / 20) as usize;
        let least = count(&requests).div_ceil(workers.min(segments as usize));
        assert!((least..=least + 34).contains(&rounds), "{segments} by {workers}: {rounds} rounds for {least}");
    }
}

#[tokio::test(start_paused = true)]
async fn eight_segments_are_seven_times_as_fast_as_one() {
    let mut times = Vec::new();
    for workers in [1, 8] {
        let (client, _) = played(20, |_, _, answer| answer).await;
        let begin = Instant::now();
        let scan = Scan::new(&client, "Pets").segments(workers).workers(workers as usize).page_limit(1);
        assert_eq!(scan.items().count().await, ITEMS);
        times.push(begin.elapsed());
    }
    assert!(times[0] >= times[1] * 7, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn an_empty_page_is_not_the_end() {
    let (client, requests) = played(0, |number, _, (status, mut page)| {
        if number % 2 == 1 {
            (page["Items"], page["Count"]) = (json!([]), json!(0));
        }
        (status, page)
    })
    .await;
    let items: Vec<_> = Scan::new(&client, "Pets").typed::<One>().try_collect().await.unwrap();
    assert_eq!((items.len(), count(&requests)), (49, 34));
    let (client, requests) = played(0, |_, _, _| (200, json!({"Items": [], "Count": 0, "ScannedCount": 0}))).await;
    assert_eq!(Scan::new(&client, "Pets").pages().count().await, 1, "an empty table has one page");
    assert_eq!(count(&requests), 1);
}

#[tokio::test(start_paused = true)]
async fn take_stops_the_requests() {
    for (take, expected) in [(0, 0), (1, 1), (3, 1), (4, 2), (10, 4)] {
        let (client, requests) = table().await;
        let mut items = Scan::new(&client, "Pets").take(take).typed::<One>();
        let read: Vec<_> = items.by_ref().try_collect().await.unwrap();
        assert_eq!(ids(read), (0..take as usize).collect::<Vec<_>>());
        assert_eq!(count(&requests), expected, "{take}");
        assert_eq!(items.checkpoint().cursors().len(), 1);
        let left = Scan::new(&client, "Pets").resume(items.checkpoint().cursors().cloned()).typed::<One>();
        let rest: Vec<_> = left.try_collect().await.unwrap();
        assert_eq!(ids(rest), (take as usize..ITEMS).collect::<Vec<_>>());
    }
    let (client, requests) = table().await;
    let scan = Scan::new(&client, "Pets").segments(10).workers(4).take(20);
    assert_eq!(scan.items().count().await, 20);
    assert!(count(&requests) <= 7 + 4, "{}", count(&requests));
}

#[tokio::test(start_paused = true)]
async fn reading_goes_on_behind_the_last_item_that_was_taken() {
    let (client, _) = table().await;
    let scan = Scan::new(&client, "Pets").filter("id >= :none").value(":none", 0);
    let (mut seen, mut left) = (Vec::new(), scan.cursors().unwrap());
    while !left.is_empty() && seen.len() <= ITEMS {
        let mut items = scan.clone().keys(["id"]).resume(left).take(4).typed::<One>();
        seen.extend(items.by_ref().try_collect::<Vec<_>>().await.unwrap());
        left = items.checkpoint().cursors().cloned().collect();
    }
    assert_eq!(ids(seen), everything(), "each once");
}

/// A table whose only page is no last one of many, so that the service names no keys.
async fn one_page() -> Client {
    let (client, _) = played(0, |_, _, (_, mut answer)| {
        answer.as_object_mut().unwrap().remove("LastEvaluatedKey");
        (200, answer)
    })
    .await;
    client
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_not_those_of_the_index_make_no_cursor() {
    async fn next<K>(read: Read<K>) -> usize {
        let mut items = read.clone().take(2).typed::<One>();
        assert_eq!(ids(items.by_ref().try_collect::<Vec<_>>().await.unwrap()), [0, 1]);
        let rest = read.resume(items.checkpoint().cursors().cloned()).take(1).typed::<One>();
        ids(rest.try_collect::<Vec<_>>().await.unwrap())[0]
    }
    let client = one_page().await;
    let scan = Scan::new(&client, "Pets").filter("id >= :none").value(":none", 0);
    assert_eq!(next(scan.clone().index("byId").keys(["id"])).await, 2);
    assert_eq!(next(scan.clone().keys(["id"]).index("byId")).await, 0, "those of the table");
    assert_eq!(next(scan.clone().index("byName").keys(["id"]).index("byId")).await, 0, "those of another index");
    assert_eq!(next(scan.keys(["id"]).local_index("byId").keys(["id"])).await, 2);
    for (condition, expected) in
        [("id = :id", 2), ("#key = :id", 2), ("species = :id", 0), ("id = :id AND name > :id", 0)]
    {
        let query = Query::new(&client, "Pets", condition).filter("id >= :id").value(":id", 0).name("#key", "id");
        assert_eq!(next(query.index("byId").keys(["id"])).await, expected, "{condition}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_take_has_cut_is_read_again_if_nobody_knows_the_keys() {
    let client = one_page().await;
    let scan = Scan::new(&client, "Pets").filter("id >= :none").value(":none", 0);
    for (keys, next) in [(None, 0), (Some(["id"]), 2)] {
        let scan = keys.into_iter().fold(scan.clone(), |scan, keys| scan.keys(keys));
        let mut items = scan.clone().take(2).typed::<One>();
        assert_eq!(ids(items.by_ref().try_collect::<Vec<_>>().await.unwrap()), [0, 1]);
        let rest = scan.resume(items.checkpoint().cursors().cloned()).take(1).typed::<One>();
        assert_eq!(ids(rest.try_collect::<Vec<_>>().await.unwrap()), [next]);
    }
}

#[tokio::test(start_paused = true)]
async fn without_prefetch_a_page_is_asked_for_when_it_is_wanted() {
    let (client, requests) = table().await;
    let mut pages = Scan::new(&client, "Pets").prefetch(0).pages();
    for wanted in 1..=5 {
        pages.next().await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(count(&requests), wanted);
    }
}

#[tokio::test(start_paused = true)]
async fn prefetch_is_bounded_in_bytes() {
    let padding = "x".repeat(100_000);
    let (client, requests) = played(1, move |_, _, (status, mut page)| {
        page["Padding"] = json!(padding);
        (status, page)
    })
    .await;
    for (bytes, workers, most) in [(500_000, 1, 5), (1_500_000, 4, 15), (150_000, 4, 2)] {
        requests.lock().unwrap().clear();
        let scan = Scan::new(&client, "Pets").segments(4).workers(workers).prefetch(bytes);
        let mut pages = scan.pages();
        pages.next().await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!((1..=most).contains(&count(&requests)), "{bytes}: {}", count(&requests));
        assert_eq!(
            pages.map_ok(|page| page.len()).try_fold(0, async |sum, n| Ok(sum + n)).await.unwrap() + PAGE,
            ITEMS
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_request_says_what_was_asked_for() {
    let (client, requests) = table().await;
    let scan =
        Scan::new(&client, "Pets").index("byName").filter("size > :n AND begins_with(#odd, :p)").name("#odd", "a-b");
    let scan = scan.value(":n", 3).value(":p", "x").project(["name", "id"]).segments(2).page_limit(2).prefetch(0);
    scan.pages().next().await.unwrap().unwrap();
    let request = requests.lock().unwrap()[0].clone();
    let names = &request["ExpressionAttributeNames"];
    let named = |alias: &str| names[alias].as_str().unwrap();
    assert_eq!(request["FilterExpression"], "#n1 > :n AND begins_with(#odd, :p)");
    assert_eq!(request["ProjectionExpression"], "#n2, #n3");
    assert_eq!([named("#odd"), named("#n1"), named("#n2"), named("#n3")], ["a-b", "size", "id", "name"]);
    assert_eq!(request["ExpressionAttributeValues"], json!({":n": {"N": "3"}, ":p": {"S": "x"}}));
    assert_eq!(
        (&request["Limit"], &request["TotalSegments"], &request["IndexName"]),
        (&json!(2), &json!(2), &json!("byName"))
    );
    assert_eq!((&request["ReturnConsumedCapacity"], &request["ConsistentRead"]), (&json!("TOTAL"), &json!(false)));
    let query = Query::new(&client, "Pets", "id = :id AND year BETWEEN :a AND :b")
        .backward()
        .consistent()
        .keys(["id"])
        .project(["year"]);
    query.value(":id", 7).value(":a", 1).value(":b", 2).pages().next().await.unwrap().unwrap();
    let request = requests.lock().unwrap().last().unwrap().clone();
    assert_eq!(request["KeyConditionExpression"], "#n0 = :id AND #n1 BETWEEN :a AND :b");
    assert_eq!(request["ProjectionExpression"], "#n0, #n1");
    assert_eq!((&request["ScanIndexForward"], &request["ConsistentRead"]), (&json!(false), &json!(true)));
    assert!(request.get("Segment").is_none());
}

#[tokio::test(start_paused = true)]
async fn items_may_be_counted_where_they_are() {
    let (client, requests) = played(0, |_, request, (status, mut page)| {
        if request["Select"] == "COUNT" {
            page.as_object_mut().unwrap().remove("Items");
        }
        (status, page)
    })
    .await;
    let mut pages = Scan::new(&client, "Pets").segments(4).count_only().pages();
    let mut counted = 0;
    while let Some(page) = pages.try_next().await.unwrap() {
        assert!(page.is_empty());
        counted += page.count();
    }
    assert_eq!((counted, pages.progress().items, pages.checkpoint().is_done()), (100, 100, true));
    assert!(requests.lock().unwrap().iter().all(|request| request["Select"] == "COUNT"));
    let values =
        Query::new(&client, "Pets", "id = :id").attribute_value(":id", serde_dynamo::AttributeValue::N("1.50".into()));
    values.count_only().pages().next().await.unwrap().unwrap();
    let request = requests.lock().unwrap().last().unwrap().clone();
    assert_eq!(
        (&request["Select"], &request["ExpressionAttributeValues"]),
        (&json!("COUNT"), &json!({":id": {"N": "1.50"}}))
    );
}
