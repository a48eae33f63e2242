//! Rates, deadlines and ends.

use super::*;

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

#[tokio::test(start_paused = true)]
async fn batches_keep_the_rate_of_the_sink() {
    let (client, _) = table().await;
    let begin = Instant::now();
    let scan = Scan::new(&client, "Pets").sink_rate(SinkRate::Items(10.0));
    let report = scan.for_each_batch(25, 4, async |_: Batch| Ok::<_, ItemError>(())).await.unwrap();
    assert_eq!((report.progress.items, begin.elapsed().as_millis().div_ceil(100)), (100, 99));
}
