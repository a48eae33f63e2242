//! What every index keeps.

use futures_util::{StreamExt, future::join_all};
use serde_json::{Value, json};

use crate::sink::{
    index::{Created, Document, DocumentId, Fields, Index, IndexError, Limits, Operation, Written, write_documents},
    table::{item, text},
};

/// Holds an index to the promises of [`Index`].
///
/// The server has no index whose name begins with `conformance`, and makes one when something is written to it.
///
/// # Panics
/// If a promise does not hold.
pub async fn index(index: &dyn Index) {
    let suite = Suite { index, fields: Fields::default() };
    suite.indexes_are_made_once().await;
    suite.operations_go_by_the_rule().await;
    suite.tombstones_keep_late_puts_out().await;
    suite.a_put_replaces_the_document().await;
    suite.documents_without_a_version_give_way().await;
    suite.every_kind_of_value_survives().await;
    suite.ids_are_told_apart().await;
    suite.answers_come_in_order().await;
    suite.the_latest_of_concurrent_writes_stays().await;
    suite.histories_end_as_the_rule_says().await;
    suite.many_documents_come_in_several_bodies().await;
    suite.an_impossible_index_spoils_no_neighbour().await;
}

const NAME: &str = "conformance";

struct Suite<'a> {
    index: &'a dyn Index,
    fields: Fields,
}

impl Suite<'_> {
    fn put(&self, id: &str, version: &str, document: &Value) -> Operation {
        Operation::put(NAME, named(id), version, document, &self.fields).expect("a document")
    }

    fn remove(&self, id: &str, version: &str) -> Operation {
        Operation::remove(NAME, named(id), version, &self.fields)
    }

    fn bury(&self, id: &str, version: &str) -> Operation {
        Operation::bury(NAME, named(id), version, &self.fields)
    }

    async fn write(&self, operation: Operation) -> Written {
        let answers: Vec<_> = write_documents(self.index, vec![operation], Limits::default()).collect().await;
        let [(0, Ok(written))] = answers[..] else { panic!("nothing speaks against it: {answers:?}") };
        written
    }

    async fn stored(&self, id: &str) -> Option<Document> {
        self.index.read(NAME, &named(id)).await.expect("a read that nothing speaks against")
    }

    /// The document without our version.
    async fn document(&self, id: &str) -> Option<Value> {
        let mut document = self.stored(id).await?;
        document.remove(&*self.fields.version);
        Some(Value::Object(document))
    }

    async fn indexes_are_made_once(&self) {
        let mut body = Document::new();
        self.fields.map_in(&mut body);
        for created in [Created::New, Created::Existed] {
            assert_eq!(self.index.create(NAME, &body).await.expect("an index"), created);
        }
        assert_eq!(self.stored("nobody").await, None);
    }

    async fn operations_go_by_the_rule(&self) {
        let put = |version, name| self.put("rule", version, &json!({"name": name}));
        let steps = [
            (self.remove("rule", "01"), Written::Applied, None),
            (put("02", "first"), Written::Applied, Some("first")),
            (put("01", "older"), Written::Stale, Some("first")),
            (put("02", "same"), Written::Stale, Some("first")),
            (self.remove("rule", "02"), Written::Stale, Some("first")),
            (put("10", "newer"), Written::Applied, Some("newer")),
            (self.remove("rule", "03"), Written::Stale, Some("newer")),
            (self.remove("rule", "11"), Written::Applied, None),
            (self.remove("rule", "12"), Written::Applied, None),
        ];
        for (at, (operation, written, name)) in steps.into_iter().enumerate() {
            assert_eq!(self.write(operation).await, written, "step {at}");
            assert_eq!(self.document("rule").await, name.map(|name| json!({"name": name})), "step {at}");
        }
    }

    async fn tombstones_keep_late_puts_out(&self) {
        let put = |version| self.put("buried", version, &json!({"name": "Rex"}));
        let steps = [
            (self.bury("buried", "02"), Written::Applied, true),
            (put("01"), Written::Stale, true),
            (put("03"), Written::Applied, false),
            (self.bury("buried", "03"), Written::Stale, false),
            (self.bury("buried", "04"), Written::Applied, true),
            (self.remove("buried", "03"), Written::Stale, true),
            (put("05"), Written::Applied, false),
        ];
        for (at, (operation, written, buried)) in steps.into_iter().enumerate() {
            assert_eq!(self.write(operation).await, written, "step {at}");
            let stored = self.stored("buried").await.expect("never gone");
            assert_eq!(stored.get(&*self.fields.removed_at).is_some_and(Value::is_u64), buried, "step {at}");
            assert_eq!(stored.contains_key("name"), !buried, "step {at}: a tombstone holds nothing else");
        }
    }

    async fn a_put_replaces_the_document(&self) {
        self.write(self.put("replaced", "1", &json!({"name": "Rex", "gone": {"soon": 1}}))).await;
        self.write(self.put("replaced", "2", &json!({"name": "Max", "anabranchVersion": "of the item"}))).await;
        let expected = json!({"name": "Max", "anabranchVersion": "2"});
        assert_eq!(self.stored("replaced").await.map(Value::Object), Some(expected), "only the new fields");
    }

    async fn documents_without_a_version_give_way(&self) {
        let elsewhere = Fields { version: "elsewhere".into(), ..Fields::default() };
        let put = |id, document| Operation::put(NAME, named(id), "9", &document, &elsewhere).expect("a document");
        self.write(put("bare", json!({}))).await;
        self.write(put("foreign", json!({"anabranchVersion": 1}))).await;
        assert_eq!(self.write(self.put("bare", "1", &json!({"name": "Rex"}))).await, Written::Applied);
        assert_eq!(self.document("bare").await, Some(json!({"name": "Rex"})));
        let why = "a version of another type does not give way";
        assert_eq!(self.write(self.put("foreign", "9", &json!({}))).await, Written::Stale, "{why}");
        assert_eq!(self.write(self.remove("foreign", "9")).await, Written::Stale, "{why}");
    }

    async fn every_kind_of_value_survives(&self) {
        let document = json!({
            "text": "\u{1f415} \"\\ \u{1}\n line", "empty": "", "yes": true, "nothing": null,
            "integer": i64::MIN, "large": i64::MAX, "decimal": 4.25, "small": -1e-7,
            "list": [1, "two", [3]], "map": {"a": {"b": {}}}, "none": [],
            "digits": "12345678901234567890123456789012345678"
        });
        self.write(self.put("kinds", "1", &document)).await;
        assert_eq!(self.document("kinds").await, Some(document));
    }

    async fn ids_are_told_apart(&self) {
        let ids = ["a/b", "a%2Fb", "a b", "a+b", "ä\u{1f415}", "?q=1", "#f", "\"\\", "..", "%"];
        for (at, id) in ids.iter().enumerate() {
            assert_eq!(self.write(self.put(id, "1", &json!({ "at": at }))).await, Written::Applied, "{id}");
        }
        for (at, id) in ids.iter().enumerate() {
            assert_eq!(self.document(id).await, Some(json!({ "at": at })), "{id}");
        }
    }

    async fn answers_come_in_order(&self) {
        let none = self.index.bulk(&[]).await.expect("nothing to do");
        assert!(none.is_empty(), "no operations have no answers");
        self.write(self.put("order 1", "5", &json!({}))).await;
        let bulk: Vec<_> = (0..4).map(|number| self.put(&format!("order {number}"), "3", &json!({}))).collect();
        let answers = self.index.bulk(&bulk).await.expect("a bulk that nothing speaks against");
        let stale: Vec<_> = answers.iter().map(|answer| matches!(answer, Ok(Written::Stale))).collect();
        assert_eq!(stale, [false, true, false, false]);
    }

    async fn the_latest_of_concurrent_writes_stays(&self) {
        let write = |number: usize| {
            let version = format!("{:02}", number * 7 % 20);
            self.write(self.put("contended", &version, &json!({ "name": version })))
        };
        join_all((0..20).map(write)).await;
        assert_eq!(self.document("contended").await, Some(json!({"name": "19"})), "the highest version");
    }

    /// Puts, removes and tombstones of a few documents at random versions, against the rule applied by hand.
    async fn histories_end_as_the_rule_says(&self) {
        let mut noise = super::Noise::new(11);
        let mut documents: [Option<String>; 3] = [const { None }; 3];
        for step in 0..150 {
            let (which, version) = (noise.below(3), format!("{:03}", noise.below(200)));
            let id = format!("history {which}");
            let (operation, keeps) = match noise.below(4) {
                0 => (self.remove(&id, &version), false),
                1 => (self.bury(&id, &version), true),
                _ => (self.put(&id, &version, &json!({})), true),
            };
            let wins = documents[which].as_ref().is_none_or(|stored| *stored < version);
            let expected = if wins { Written::Applied } else { Written::Stale };
            assert_eq!(self.write(operation).await, expected, "step {step}");
            if wins {
                documents[which] = keeps.then_some(version);
            }
        }
        for (which, version) in documents.into_iter().enumerate() {
            let stored = self.stored(&format!("history {which}")).await;
            let stored = stored.and_then(|document| document.get(&*self.fields.version).cloned());
            assert_eq!(stored, version.map(Value::String));
        }
    }

    async fn many_documents_come_in_several_bodies(&self) {
        let put = |number: usize| self.put(&format!("many {number}"), "1", &json!({ "number": number }));
        let limits = Limits { operations: 7, ..Limits::default() };
        let answers: Vec<_> = write_documents(self.index, (0..40).map(put).collect(), limits).collect().await;
        assert!(answers.len() == 40 && answers.iter().all(|(_, answer)| matches!(answer, Ok(Written::Applied))));
        for number in 0..40 {
            assert_eq!(self.document(&format!("many {number}")).await, Some(json!({ "number": number })));
        }
    }

    async fn an_impossible_index_spoils_no_neighbour(&self) {
        let fits = |id| self.put(id, "1", &json!({}));
        let wrong = Operation::put("Conformance", named("x"), "1", &json!({}), &self.fields).expect("a document");
        let bulk = vec![fits("before"), wrong, fits("after")];
        let answers: Vec<_> = write_documents(self.index, bulk, Limits::default()).collect().await;
        assert_eq!(answers.len(), 3, "every operation is answered");
        for (at, answer) in answers {
            match answer {
                Ok(_) => assert_ne!(at, 1, "an index name with a capital"),
                Err(error) => assert!(at == 1 && error.is_reject() && self.names_it(&error), "{at}: {error:?}"),
            }
        }
        assert!(self.stored("before").await.is_some() && self.stored("after").await.is_some());
    }

    fn names_it(&self, error: &IndexError) -> bool {
        error.to_string().contains(self.index.name())
    }
}

fn named(id: &str) -> DocumentId {
    DocumentId::of(&item([("PK", text(id))]))
}
