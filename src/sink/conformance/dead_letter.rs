//! What every dead letter sink keeps.

use std::time::{Duration, UNIX_EPOCH};

use futures_util::future::join_all;

use crate::sink::dead_letter::{DeadLetter, DeadLetterSink};

/// Holds a sink to the promises of [`DeadLetterSink`].
///
/// `read` answers with every letter that the sink has kept since the suite
/// began, in any order; a letter may be there more than once.
///
/// # Panics
/// If a promise does not hold.
pub async fn dead_letter_sink<S: DeadLetterSink>(sink: &S, read: impl AsyncFn() -> Vec<DeadLetter>) {
    assert!(sink.send(&[]).await.is_empty(), "no letters have no results");
    let suite = Suite { sink, read };
    suite.keeps("shapes", shapes("shapes")).await;
    suite.keeps("many", many("many", 37)).await;
    suite.keeps("compressible", vec![zeros("compressible")]).await;
    suite.keeps("heavy", heavy("heavy")).await;
    suite.oversize_spoils_no_neighbour("oversize").await;
    suite.takes_concurrent_calls().await;
}

struct Suite<'a, S, R> {
    sink: &'a S,
    read: R,
}

impl<S: DeadLetterSink, R: AsyncFn() -> Vec<DeadLetter>> Suite<'_, S, R> {
    async fn keeps(&self, case: &str, letters: Vec<DeadLetter>) {
        self.sends(case, &letters).await;
        self.holds_exactly(case, &letters).await;
    }

    async fn sends(&self, case: &str, letters: &[DeadLetter]) {
        let results = self.sink.send(letters).await;
        assert_eq!(results.len(), letters.len(), "{case}: one result per letter");
        for (at, result) in results.iter().enumerate() {
            assert!(result.is_ok(), "{case}: letter {at}: {result:?}");
        }
    }

    async fn oversize_spoils_no_neighbour(&self, case: &str) {
        let giant = DeadLetter::new(noise(3, 3_000_000), "giant", case, UNIX_EPOCH);
        let letters = [many(case, 2), vec![giant], many(case, 4).split_off(2)].concat();
        let results = self.sink.send(&letters).await;
        assert_eq!(results.len(), letters.len(), "{case}: one result per letter");
        for at in [0, 1, 3, 4] {
            assert!(results[at].is_ok(), "{case}: a neighbour was not kept");
        }
        let acknowledged = letters.iter().zip(&results).filter(|(_, r)| r.is_ok());
        let acknowledged: Vec<_> = acknowledged.map(|(letter, _)| letter.clone()).collect();
        self.holds_exactly(case, &acknowledged).await;
    }

    async fn takes_concurrent_calls(&self) {
        let calls = ["a", "b", "c", "d"].map(|case| (case, many(case, 5)));
        join_all(calls.iter().map(|(case, letters)| self.sends(case, letters))).await;
        for (case, letters) in &calls {
            self.holds_exactly(case, letters).await;
        }
    }

    /// Whatever was acknowledged is there, whole, and nothing else is.
    async fn holds_exactly(&self, case: &str, letters: &[DeadLetter]) {
        let mut kept = (self.read)().await;
        kept.retain(|letter| &*letter.function == case);
        for (at, letter) in letters.iter().enumerate() {
            assert!(kept.contains(letter), "{case}: letter {at} was acknowledged and is not there as it was");
        }
        assert!(kept.iter().all(|letter| letters.contains(letter)), "{case}: a letter is there that nobody sent");
    }
}

/// Records of every shape that a broken stream record can have.
fn shapes(case: &str) -> Vec<DeadLetter> {
    let records: [&[u8]; 8] = [
        br#"{"eventID":"e1","dynamodb":{"SequenceNumber":"111"}}"#,
        br#"{"eventID":"e2","dynamodb":{"NewImage":{"a":{"S":"tr"#,
        "{\"name\":\"\u{fffe}\u{ffff}\u{1f415}\u{7f}\"}".as_bytes(),
        b"\xff\xfe not text \x00\x01",
        b"{\"two\":\n\"lines\"}\r\n",
        b" {\"space\":1} ",
        b"",
        br#"{"n":123456789012345678901234567890.000,"n":1E400}"#,
    ];
    let letters = records.iter().zip(1..);
    letters
        .map(|(record, number)| {
            let time = UNIX_EPOCH + Duration::from_millis(1_767_225_600_001 * number);
            DeadLetter::new(record.to_vec(), "\u{fffe} \"why\"\n", case, time)
                .with_event_id(format!("e{number}"))
                .with_sequence_number("4".repeat(number as usize))
                .with_source_arn("arn:aws:dynamodb:eu-central-1:123456789012:table/T/stream/L")
        })
        .collect()
}

fn many(case: &str, count: usize) -> Vec<DeadLetter> {
    let record = |number| format!("{{\"number\":{number}}}");
    (0..count).map(|number| DeadLetter::new(record(number), "one of many", case, UNIX_EPOCH)).collect()
}

/// Larger than a message may be, unless it is compressed.
fn zeros(case: &str) -> DeadLetter {
    let record = format!("{{\"zeros\":\"{}\"}}", "0".repeat(400_000));
    DeadLetter::new(record, "compressible", case, UNIX_EPOCH)
}

/// Each fits into a message; together they are more than a request takes.
fn heavy(case: &str) -> Vec<DeadLetter> {
    (10..17).map(|seed| DeadLetter::new(noise(seed, 90_000), "heavy", case, UNIX_EPOCH)).collect()
}

/// Bytes that do not compress, the same for the same seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut noise = super::Noise::new(seed);
    std::iter::repeat_with(|| noise.next() as u8).take(len).collect()
}
