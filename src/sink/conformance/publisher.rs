//! What every publisher keeps.

use std::collections::HashMap;

use futures_util::{StreamExt, future::join_all};

use crate::sink::publisher::{Message, PublishError, Publisher};

/// Holds a publisher to the promises of [`Publisher`].
///
/// `read` answers with every message that was published since the suite began, those of one group in order.
///
/// # Panics
/// If a promise does not hold.
pub async fn publisher<P: Publisher>(publisher: &P, read: impl AsyncFn() -> Vec<Message>) {
    assert_eq!(publisher.publish(&[]).count().await, 0, "no messages have no results");
    let suite = Suite { publisher, read };
    suite.takes("shapes", shapes()).await;
    suite.takes("many", many("many", 57)).await;
    suite.takes("heavy", heavy()).await;
    suite.keeps_groups_in_order().await;
    suite.oversize_spoils_no_neighbour().await;
    suite.takes_concurrent_calls().await;
}

struct Suite<'a, P, R> {
    publisher: &'a P,
    read: R,
}

impl<P: Publisher, R: AsyncFn() -> Vec<Message>> Suite<'_, P, R> {
    async fn results(&self, case: &str, messages: &[Message]) -> HashMap<usize, Result<(), PublishError>> {
        let results: Vec<_> = self.publisher.publish(messages).collect().await;
        let count = results.len();
        let results: HashMap<_, _> = results.into_iter().collect();
        assert_eq!(results.len(), count, "{case}: at most one result per message");
        assert!(results.keys().all(|at| *at < messages.len()), "{case}: a result of no message");
        results
    }

    async fn takes(&self, case: &str, messages: Vec<Message>) {
        let messages = self.publishes(case, messages).await;
        self.has_exactly(case, &messages).await;
    }

    async fn publishes(&self, case: &str, messages: Vec<Message>) -> Vec<Message> {
        let messages: Vec<_> = messages.into_iter().map(|message| marked(message, case)).collect();
        let results = self.results(case, &messages).await;
        assert_eq!(results.len(), messages.len(), "{case}: one result per message");
        for (at, result) in results {
            assert!(result.is_ok(), "{case}: message {at}: {result:?}");
        }
        messages
    }

    async fn has_exactly(&self, case: &str, messages: &[Message]) {
        let published = self.published(case).await;
        for (at, message) in messages.iter().enumerate() {
            assert!(published.contains(message), "{case}: message {at} was taken and is not there as it was");
        }
        assert_eq!(published.len(), messages.len(), "{case}: each message once, and no other");
    }

    async fn published(&self, case: &str) -> Vec<Message> {
        let mut published = (self.read)().await;
        published.retain(|message| marked(message.clone(), case) == *message);
        published
    }

    async fn keeps_groups_in_order(&self) {
        let case = "order";
        let message = |at: usize| marked(grouped(at.to_string(), &format!("group-{}", at * at % 7)), case);
        let messages: Vec<_> = (0..90).map(message).collect();
        let results = self.results(case, &messages).await;
        assert!(results.len() == 90 && results.values().all(Result::is_ok));
        let mut last: HashMap<String, usize> = HashMap::new();
        for message in self.published(case).await {
            let at: usize = message.body().parse().expect("a number");
            let group = message.group_id().expect("a group").to_owned();
            let before = last.insert(group, at);
            assert!(before.is_none_or(|before| before < at), "message {at} after {before:?} of its group");
        }
    }

    /// The second of three messages of one group has 3 MB: it is taken whole, or rejected and the third held back.
    async fn oversize_spoils_no_neighbour(&self) {
        let case = "oversize";
        let giant = "g".repeat(3_000_000);
        let bodies = [("1", "a"), ("2", "b"), (&*giant, "a"), ("3", "a"), ("4", "c")];
        let messages: Vec<_> = bodies.map(|(body, group)| marked(grouped(body, group), case)).into();
        let results = self.results(case, &messages).await;
        for at in [0, 1, 4] {
            assert!(matches!(results.get(&at), Some(Ok(()))), "{case}: neighbour {at} was not taken");
        }
        let rejected = matches!(&results[&2], Err(error) if error.is_reject());
        assert!(rejected || results[&2].is_ok(), "{case}: {:?}", results[&2]);
        assert_eq!(results.contains_key(&3), !rejected, "{case}: nothing overtakes a message in its group");
        let taken = |at: &usize| results.get(at).is_some_and(Result::is_ok);
        let taken: Vec<_> = (0..messages.len()).filter(taken).map(|at| messages[at].clone()).collect();
        self.has_exactly(case, &taken).await;
    }

    async fn takes_concurrent_calls(&self) {
        let cases = ["together a", "together b", "together c"];
        let calls = join_all(cases.map(|case| self.publishes(case, many(case, 25)))).await;
        for (case, messages) in cases.iter().zip(&calls) {
            self.has_exactly(case, messages).await;
        }
    }
}

/// The message, known again by its case.
fn marked(message: Message, case: &str) -> Message {
    message.attribute("case", case)
}

/// In a group, and with an id that no other message of the suite has.
fn grouped(body: impl Into<String>, group: &str) -> Message {
    use std::sync::atomic::{AtomicU64, Ordering};
    static IDS: AtomicU64 = AtomicU64::new(0);
    let id = IDS.fetch_add(1, Ordering::Relaxed);
    Message::new(body).group(group).deduplication_id(format!("conformance-{id}"))
}

fn shapes() -> Vec<Message> {
    let tags = vec!["a\"b".to_owned(), "\u{1f415}".to_owned()];
    vec![
        grouped("plain", "a"),
        grouped(" two\nlines\t<&>\"'%20+ \u{1f415} ", "b").subject("A subject, with: punctuation!"),
        grouped(r#"{"json":[1,2.50]}"#, "c").attribute("userId", "ada & b").attribute("weightKg", 4.5),
        grouped("tags", "a").attribute("tags", tags).attribute("count", 7_u64),
    ]
}

fn many(case: &str, count: usize) -> Vec<Message> {
    (0..count).map(|at| grouped(format!("{case} {at}"), &format!("group-{at}"))).collect()
}

/// Each fits into a request; together they do not.
fn heavy() -> Vec<Message> {
    (0..7).map(|at| grouped(at.to_string().repeat(90_000), &format!("group-{at}"))).collect()
}
