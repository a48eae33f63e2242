//! What every table with transactions keeps.

use futures_util::future::join_all;

use crate::sink::table::{
    Action, AttributeValue, CancellationClass, Condition, Decimal, Guard, Item, Limits, Query, RowWrite, TransactError,
    TransactTable, Update, item, read_many, text,
};

/// Holds a table to the promises of [`TransactTable`], beside those of [`table`](super::table).
///
/// The table is keyed by the strings `PK` and `SK`.
///
/// # Panics
/// If a promise does not hold.
pub async fn transact_table(table: &dyn TransactTable) {
    let suite = Suite { table };
    suite.all_actions_or_none().await;
    suite.conditions_hold_or_cancel().await;
    suite.each_action_has_its_reason().await;
    suite.updates_change_single_attributes().await;
    suite.sums_are_exact().await;
    suite.added_up_side_by_side().await;
    suite.impossible_transactions_are_refused().await;
    suite.full_transactions_are_done().await;
    suite.reads_find_what_is_there().await;
    suite.queries_have_the_order_of_the_sort_key().await;
}

struct Suite<'a> {
    table: &'a dyn TransactTable,
}

impl Suite<'_> {
    async fn done(&self, actions: &[Action]) {
        self.table.transact(actions).await.expect("a transaction that nothing speaks against");
    }

    async fn reasons(&self, actions: &[Action]) -> Vec<Option<CancellationClass>> {
        match self.table.transact(actions).await {
            Err(TransactError::Cancelled { reasons, .. }) => {
                reasons.iter().map(|reason| reason.as_ref().map(|reason| reason.class)).collect()
            }
            other => panic!("not cancelled: {other:?}"),
        }
    }

    async fn stored(&self, key: &Item) -> Option<Item> {
        self.table.read(key.clone()).await.expect("a read that nothing speaks against")
    }

    async fn all_actions_or_none(&self) {
        let [a, b] = ["a", "b"].map(|sort| key("all", sort));
        self.done(&[Action::put(a.clone(), named(&a, "Rex")), Action::put(b.clone(), named(&b, "Mia"))]).await;
        let never = Condition::Is("name".into(), text("nobody"));
        let actions = [Action::delete(a.clone()), Action::check(b.clone(), never.clone())];
        assert_eq!(self.reasons(&actions).await, [None, Some(CancellationClass::ConditionFailed)]);
        assert!(self.stored(&a).await.is_some(), "a cancelled transaction did something");
        let always = Condition::Is("name".into(), text("Mia"));
        self.done(&[Action::delete(a.clone()), Action::check(b.clone(), always)]).await;
        assert_eq!((self.stored(&a).await, self.stored(&b).await), (None, Some(named(&b, "Mia"))));
    }

    async fn conditions_hold_or_cancel(&self) {
        let (there, gone) = (key("conditions", "there"), key("conditions", "gone"));
        let mut row = named(&there, "Rex");
        row.insert("number".into(), AttributeValue::N("10".into()));
        self.done(&[Action::put(there.clone(), row)]).await;
        let (name, other) = ("name".to_owned(), text("Mia"));
        let cases = [
            (&there, Condition::Is(name.clone(), text("Rex")), true),
            (&there, Condition::Is(name.clone(), other.clone()), false),
            (&there, Condition::Is("number".into(), AttributeValue::N("1E1".into())), true),
            (&gone, Condition::Is(name.clone(), text("Rex")), false),
            (&there, Condition::Absent(name.clone()), false),
            (&there, Condition::Absent("other".into()), true),
            (&gone, Condition::Absent(name.clone()), true),
            (&there, Condition::AbsentOrIs(name.clone(), text("Rex")), true),
            (&there, Condition::AbsentOrIs(name.clone(), other.clone()), false),
            (&gone, Condition::AbsentOrIs(name, other), true),
        ];
        for (at, (key, condition, holds)) in cases.into_iter().enumerate() {
            let actions = [Action::check(key.clone(), condition)];
            match holds {
                true => self.done(&actions).await,
                false => assert_eq!(self.reasons(&actions).await, [Some(CancellationClass::ConditionFailed)], "{at}"),
            }
        }
    }

    async fn each_action_has_its_reason(&self) {
        let [good, text_row, missing] = ["good", "text", "missing"].map(|sort| key("reasons", sort));
        self.done(&[Action::put(text_row.clone(), named(&text_row, "Rex"))]).await;
        let actions = [
            Action::put(good.clone(), good.clone()),
            Action::update(text_row, Update::new().add("name", Decimal::ONE)),
            Action::delete(missing).only_if(Condition::Is("name".into(), text("Rex"))),
        ];
        let classes = [None, Some(CancellationClass::Invalid), Some(CancellationClass::ConditionFailed)];
        assert_eq!(self.reasons(&actions).await, classes);
        assert!(self.table.transact(&actions).await.is_err_and(|error| error.is_reject()));
        assert_eq!(self.stored(&good).await, None);
    }

    async fn updates_change_single_attributes(&self) {
        let key = key("updates", "row");
        let first = Update::new().set("name", text("Rex")).add("count", 2.into()).set("kept", text("yes"));
        self.done(&[Action::update(key.clone(), first)]).await;
        let second =
            Update::new().set("name", text("Mia")).add("count", Decimal::from(-5)).remove("gone").remove("kept");
        self.done(&[Action::update(key.clone(), second)]).await;
        let mut expected = named(&key, "Mia");
        expected.insert("count".into(), AttributeValue::N("-3".into()));
        assert_eq!(self.stored(&key).await, Some(expected));
    }

    async fn sums_are_exact(&self) {
        let key = key("sums", "row");
        for amount in ["0.1", "0.2", "1000000000000000000000000000000000000", "-0.3"] {
            let amount: Decimal = amount.parse().expect("a number");
            self.done(&[Action::update(key.clone(), Update::new().add("sum", amount))]).await;
        }
        let stored = self.stored(&key).await.expect("four sums");
        let AttributeValue::N(sum) = &stored["sum"] else { panic!("a number") };
        assert_eq!(sum.parse(), Ok::<Decimal, _>("1E36".parse().expect("a number")));
    }

    async fn added_up_side_by_side(&self) {
        let key = key("side by side", "row");
        let add = || async {
            let actions = [Action::update(key.clone(), Update::new().add("count", Decimal::ONE))];
            while let Err(error) = self.table.transact(&actions).await {
                assert!(!error.is_reject(), "{error}");
            }
        };
        join_all((0..20).map(|_| add())).await;
        let stored = self.stored(&key).await.expect("twenty updates");
        assert_eq!(stored["count"], AttributeValue::N("20".into()));
    }

    async fn impossible_transactions_are_refused(&self) {
        let delete = |number: usize| Action::delete(key("impossible", &number.to_string()));
        let heavy = |number: usize| {
            let key = key("impossible", &number.to_string());
            let mut row = key.clone();
            row.insert("heavy".into(), AttributeValue::B(vec![7; 390_000]));
            Action::put(key, row)
        };
        let cases = [
            ("a row twice", vec![delete(1), delete(2), delete(1)]),
            ("101 actions", (0..101).map(delete).collect()),
            ("over 4 MB", (0..11).map(heavy).collect()),
        ];
        for (case, actions) in cases {
            let answer = self.table.transact(&actions).await;
            assert!(answer.is_err_and(|error| error.is_reject()), "{case}");
        }
        let twice = [key("impossible", "1"), key("impossible", "1")];
        assert!(self.table.read_batch(&twice).await.is_err_and(|error| error.is_reject()), "a key twice");
    }

    async fn full_transactions_are_done(&self) {
        let keys: Vec<_> = (0..100).map(|number| key("full", &format!("{number:03}"))).collect();
        let puts: Vec<_> = keys.iter().map(|key| Action::put(key.clone(), key.clone())).collect();
        self.done(&puts).await;
        let limits = Limits { concurrency: 1, until: None };
        let rows = read_many(self.table, &keys, limits).await.expect("a readable table");
        assert_eq!(rows.into_iter().flatten().collect::<Vec<_>>(), keys);
    }

    async fn reads_find_what_is_there(&self) {
        let keys: Vec<_> = (0..230).map(|number| key("reads", &format!("{number:03}"))).collect();
        for key in keys.iter().step_by(2) {
            let put = RowWrite::put(key.clone(), key.clone());
            self.table.write_guarded(put, Guard::new("version", "1")).await.expect("a free row");
        }
        let limits = Limits { concurrency: 2, until: None };
        let rows = read_many(self.table, &keys, limits).await.expect("a readable table");
        for (number, (key, row)) in keys.iter().zip(rows).enumerate() {
            let found = row.map(|row| row["SK"].clone());
            assert_eq!(found, (number % 2 == 0).then(|| key["SK"].clone()), "row {number}");
        }
    }

    async fn queries_have_the_order_of_the_sort_key(&self) {
        let sorts = ["b", "a", "A", "10", "9", "ä", "~"];
        let puts = sorts.map(|sort| Action::put(key("query", sort), key("query", sort)));
        self.done(&puts).await;
        let query = async |descending, limit| {
            let query = Query { partition: item([("PK", text("query"))]), descending, limit };
            let rows = self.table.query(query).await.expect("a readable table");
            rows.iter().map(|row| row["SK"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(query(false, 100).await, ["10", "9", "A", "a", "b", "~", "ä"].map(text));
        assert_eq!(query(true, 2).await, ["ä", "~"].map(text));
        let nothing = Query { partition: item([("PK", text("query nothing"))]), descending: false, limit: 1 };
        assert!(self.table.query(nothing).await.expect("a readable table").is_empty());
    }
}

fn key(partition: &str, sort: &str) -> Item {
    item([("PK", text(partition)), ("SK", text(sort))])
}

fn named(key: &Item, name: &str) -> Item {
    let mut row = key.clone();
    row.insert("name".into(), text(name));
    row
}
