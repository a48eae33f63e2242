//! Jobs, batches and channels.

use super::*;

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
