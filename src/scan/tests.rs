//! Scans of a table played behind a real SDK client, on a paused clock.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::Client;
use futures_util::{StreamExt, TryStreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::aws::double::{self, Answer};

/// Items 0 to n, those of each segment in order, three to a page.
const ITEMS: usize = 100;
const PAGE: usize = 3;

type Requests = Arc<Mutex<Vec<Value>>>;

#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct One {
    id: usize,
}

async fn played(
    latency: u64,
    mut twist: impl FnMut(usize, &Value, Answer) -> Answer + Send + 'static,
) -> (Client, Requests) {
    let requests = Requests::default();
    let seen = Arc::clone(&requests);
    let config = double::slow_config(Duration::from_millis(latency), move |operation, body| {
        if operation == "DescribeTable" {
            return (200, json!({"Table": {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}}));
        }
        let answer = page(&body);
        seen.lock().unwrap().push(body.clone());
        let number = seen.lock().unwrap().len();
        twist(number, &body, answer)
    });
    (Client::new(&config.await), requests)
}

async fn table() -> (Client, Requests) {
    played(0, |_, _, answer| answer).await
}

/// What DynamoDB would answer: capacity is one unit for each item.
fn page(request: &Value) -> Answer {
    let number = |name: &str| request[name].as_u64().map(|number| number as usize);
    let (segment, segments) = (number("Segment").unwrap_or(0), number("TotalSegments").unwrap_or(1));
    let start = request["ExclusiveStartKey"]["id"]["N"].as_str().map_or(0, |id| id.parse::<usize>().unwrap() + 1);
    let limit = number("Limit").unwrap_or(PAGE).min(PAGE);
    let mut left = (start..ITEMS).filter(|id| id % segments == segment);
    let items: Vec<_> = left.by_ref().take(limit).map(|id| json!({"id": {"N": id.to_string()}})).collect();
    let mut page = json!({"Items": items, "Count": items.len(), "ScannedCount": items.len(),
        "ConsumedCapacity": {"TableName": "Pets", "CapacityUnits": items.len()}});
    // As DynamoDB: a full page has a key even if nothing follows.
    if items.len() == limit {
        page["LastEvaluatedKey"] = items[limit - 1].clone();
    }
    (200, page)
}

fn ids(items: impl IntoIterator<Item = One>) -> Vec<usize> {
    let mut ids: Vec<_> = items.into_iter().map(|item| item.id).collect();
    ids.sort_unstable();
    ids
}

fn everything() -> Vec<usize> {
    (0..ITEMS).collect()
}

fn count(requests: &Requests) -> usize {
    requests.lock().unwrap().len()
}

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

#[tokio::test(start_paused = true)]
async fn a_page_that_take_has_cut_is_read_again_if_nobody_knows_the_keys() {
    // The only page of its segment, so that the service names none.
    let (client, _) = played(0, |_, _, (_, mut answer)| {
        answer.as_object_mut().unwrap().remove("LastEvaluatedKey");
        (200, answer)
    })
    .await;
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

#[tokio::test(start_paused = true)]
async fn the_rate_is_kept_over_all_workers() {
    // Pages without end, of 16 units each.
    for (rate, workers) in [(400.0, 1), (400.0, 8), (1600.0, 8)] {
        let (client, _) = played(20, |number, _, (status, mut page)| {
            page["ConsumedCapacity"]["CapacityUnits"] = json!(16.0);
            page["LastEvaluatedKey"] = json!({"id": {"N": number.to_string()}});
            (status, page)
        })
        .await;
        let mut pages = Scan::new(&client, "Pets").segments(64).workers(workers).rate(rate).pages();
        let end = Instant::now() + Duration::from_secs(10);
        while let Ok(page) = tokio::time::timeout_at(end, pages.next()).await {
            page.unwrap().unwrap();
        }
        let (units, due) = (pages.progress().units, rate * 10.0);
        let page_each = 16.0 * workers as f64;
        assert!(units >= due * 0.95 && units <= due * 1.05 && units <= due + page_each, "{rate}, {workers}: {units}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_sink_gets_no_more_than_its_rate() {
    let (client, _) = table().await;
    let begin = Instant::now();
    let items = Scan::new(&client, "Pets").sink_rate(SinkRate::Items(10.0)).items();
    assert_eq!(items.count().await, ITEMS);
    assert_eq!(begin.elapsed().as_millis().div_ceil(100), 100, "the last is paid for before the end");
    let begin = Instant::now();
    let pages = Scan::new(&client, "Pets").sink_rate(SinkRate::WriteUnits(50.0)).pages();
    assert_eq!(pages.count().await, 34);
    assert_eq!(begin.elapsed().as_millis().div_ceil(100), 20);
}

#[tokio::test(start_paused = true)]
async fn a_scan_ends_before_its_deadline_and_says_where_it_stood() {
    for latency in [20, 400, 3_000] {
        let (client, requests) = played(latency, |_, _, answer| answer).await;
        let until = Instant::now() + Duration::from_secs(10);
        let scan = Scan::new(&client, "Pets").segments(2).workers(2);
        let mut pages = scan.clone().page_limit(1).until(until).pages();
        let mut read = Vec::new();
        while let Some(page) = pages.try_next().await.unwrap() {
            read.extend(page.decode::<One>().map(Result::unwrap));
        }
        assert!(
            Instant::now() <= until && until - Instant::now() < Duration::from_millis(3 * latency + 250)
                || pages.checkpoint().is_done()
        );
        assert_eq!(count(&requests), pages.progress().pages as usize, "none was cut off");
        let rest = scan.resume(pages.checkpoint().cursors().cloned()).typed::<One>();
        let rest: Vec<_> = rest.try_collect().await.unwrap();
        assert_eq!(ids(read.into_iter().chain(rest)), everything());
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_does_not_come_in_time_is_given_up() {
    let (client, _) = played(60_000, |_, _, answer| answer).await;
    let until = Instant::now() + Duration::from_secs(1);
    let mut pages = Scan::new(&client, "Pets").until(until).pages();
    assert!(pages.next().await.is_none());
    assert_eq!((Instant::now(), pages.checkpoint().is_done()), (until, false));
}

#[tokio::test(start_paused = true)]
async fn a_slow_sink_is_not_waited_for_past_the_deadline() {
    let (client, _) = table().await;
    let begin = Instant::now();
    let scan = || Scan::new(&client, "Pets").page_limit(3).sink_rate(SinkRate::Items(0.1));
    // A page is paid for in 30 s.
    let mut pages = scan().until(begin + Duration::from_secs(50)).pages();
    assert_eq!(pages.by_ref().try_collect::<Vec<_>>().await.unwrap().len(), 2);
    assert_eq!(begin.elapsed().as_secs(), 30);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(pages.next().await.is_none(), "an end is an end");
    let rest = Scan::new(&client, "Pets").resume(pages.checkpoint().cursors().cloned()).typed::<One>();
    assert_eq!(rest.try_collect::<Vec<_>>().await.unwrap().len(), ITEMS - 6, "behind both pages");
    // An item in 10 s: the fifth is in the middle of a page, which is not done with.
    let begin = Instant::now();
    let mut items = scan().until(begin + Duration::from_secs(45)).typed::<One>();
    assert_eq!(ids(items.by_ref().try_collect::<Vec<_>>().await.unwrap()), [0, 1, 2, 3, 4]);
    assert_eq!(begin.elapsed().as_secs(), 40);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(items.next().await.is_none(), "an end is an end");
    let rest = Scan::new(&client, "Pets").resume(items.checkpoint().cursors().cloned()).typed::<One>();
    assert_eq!(ids(rest.try_collect::<Vec<_>>().await.unwrap())[0], 3);
    let begin = Instant::now();
    let batches = scan().until(begin + Duration::from_secs(45));
    let report = batches.for_each_batch(2, 1, async |_: Batch| Ok::<_, ItemError>(())).await.unwrap();
    assert_eq!((report.progress.items, begin.elapsed().as_secs()), (3, 40));
    let rest = Scan::new(&client, "Pets").resume(report.checkpoint.into_cursors()).typed::<One>();
    assert_eq!(ids(rest.try_collect::<Vec<_>>().await.unwrap())[0], 3);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_scan_asks_for_nothing_more() {
    let (client, requests) = played(20, |_, _, answer| answer).await;
    let mut pages = Scan::new(&client, "Pets").segments(4).workers(4).pages();
    pages.next().await.unwrap().unwrap();
    drop(pages);
    let asked = count(&requests);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(count(&requests), asked);
}

type Batch = Vec<Result<One, ItemError>>;

#[tokio::test(start_paused = true)]
async fn a_consumer_gets_full_batches_and_slows_the_scan() {
    let (client, requests) = table().await;
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sizes);
    let job = Scan::new(&client, "Pets").prefetch(0).for_each_batch(7, 2, move |batch: Batch| {
        let seen = Arc::clone(&seen);
        async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            seen.lock().unwrap().push(batch.len());
            Ok::<_, ItemError>(())
        }
    });
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(sizes.lock().unwrap().len(), 4);
    // Two more are under way, and one is being cut.
    assert!(count(&requests) <= (7 * 7_usize).div_ceil(PAGE), "{}", count(&requests));
    assert!(job.progress().items < 28 && job.progress().items > 20);
    let report = job.await.unwrap();
    assert_eq!((report.progress.items, report.checkpoint.is_done()), (100, true));
    assert_eq!(*sizes.lock().unwrap(), [[7; 14].as_slice(), &[2]].concat());
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_fails_ends_the_job_behind_what_was_done() {
    let (client, _) = table().await;
    let scan = Scan::new(&client, "Pets").segments(4).workers(2);
    let done = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&done);
    let job = scan.clone().for_each_batch(5, 3, move |batch: Batch| {
        let seen = Arc::clone(&seen);
        async move {
            let mut seen = seen.lock().unwrap();
            if seen.len() >= 40 {
                return Err("the disk is full");
            }
            seen.extend(batch.into_iter().map(Result::unwrap));
            Ok(())
        }
    });
    let error = job.await.unwrap_err();
    assert!(matches!(&*error.error, ScanError::Consumer { source } if source.to_string() == "the disk is full"));
    assert!(error.report.progress.items <= 40);
    let rest: Vec<One> = scan.resume(error.report.checkpoint.into_cursors()).typed().try_collect().await.unwrap();
    let mut all = ids(done.lock().unwrap().drain(..).chain(rest));
    let read = all.len();
    all.dedup();
    assert_eq!(all, everything());
    assert!(read - ITEMS <= 4 * PAGE, "at most a page of each segment twice: {read}");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_job_finishes_what_it_has_begun() {
    let (client, requests) = table().await;
    let job = Scan::new(&client, "Pets").prefetch(0).for_each_batch(3, 1, async |_: Batch| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok::<_, ItemError>(())
    });
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    job.cancel();
    let report = job.await.unwrap();
    assert_eq!((report.progress.items, report.checkpoint.cursors().len()), (6, 1));
    assert!(count(&requests) <= 3);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_job_stops() {
    let (client, requests) = played(20, |_, _, answer| answer).await;
    let job = Scan::new(&client, "Pets").for_each_batch(3, 1, async |_: Batch| Ok::<_, ItemError>(()));
    tokio::time::sleep(Duration::from_millis(110)).await;
    drop(job);
    let asked = count(&requests);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(asked > 0 && count(&requests) == asked);
}

#[tokio::test(start_paused = true)]
async fn a_channel_gets_items_and_then_the_end() {
    let (client, _) = table().await;
    let (sender, mut receiver) = tokio::sync::mpsc::channel(4);
    let job = Scan::new(&client, "Pets").segments(3).workers(3).send_to::<One>(sender);
    let mut items = Vec::new();
    let report = loop {
        match receiver.recv().await.unwrap() {
            Message::Item(item) => items.push(item.unwrap()),
            Message::Done(report) => break report,
            Message::Failed(error) => panic!("{error}"),
        }
    };
    assert_eq!(ids(items), everything());
    assert_eq!(job.await.unwrap(), report);
    assert!(receiver.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_channel_is_told_of_a_failure_and_a_job_of_a_lost_receiver() {
    let refused = || double::error(400, "AccessDeniedException", "no");
    let (client, _) = played(0, move |number, _, answer| if number > 5 { refused() } else { answer }).await;
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let _job = Scan::new(&client, "Pets").send_to::<One>(sender);
    let mut items = 0;
    while let Some(Message::Item(_)) = receiver.recv().await {
        items += 1;
    }
    assert_eq!(items, 15, "and then the failure");
    let (client, _) = table().await;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    drop(receiver);
    let error = Scan::new(&client, "Pets").send_to::<One>(sender).await.unwrap_err();
    assert!(matches!(&*error.error, ScanError::Consumer { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn batches_keep_the_rate_of_the_sink() {
    let (client, _) = table().await;
    let begin = Instant::now();
    let scan = Scan::new(&client, "Pets").sink_rate(SinkRate::Items(10.0));
    let report = scan.for_each_batch(25, 4, async |_: Batch| Ok::<_, ItemError>(())).await.unwrap();
    assert_eq!((report.progress.items, begin.elapsed().as_millis().div_ceil(100)), (100, 99));
}
