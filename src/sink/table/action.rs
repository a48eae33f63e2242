//! What a transaction does to one row.

use std::{collections::BTreeMap, fmt};

use super::{AttributeValue, Decimal, Item, size::item_size};

/// One row's part in a transaction: what becomes of it, and what must hold for that.
///
/// ```
/// use anabranch::sink::table::{Action, Condition, Decimal, Update, item, text};
///
/// let key = item([("PK", text("PET#mia")), ("SK", text("SUMMARY"))]);
/// let counted = Action::update(key, Update::new().add("walks", Decimal::ONE)).only_if(Condition::Absent("closed".into()));
/// assert_eq!(counted.condition(), Some(&Condition::Absent("closed".into())));
/// ```
///
/// `Debug` names the attributes but shows no values, which are your users'.
#[derive(Clone, PartialEq)]
pub struct Action {
    key: Item,
    effect: Effect,
    condition: Option<Condition>,
}

/// What an action does.
#[derive(Clone, PartialEq)]
pub enum Effect {
    /// The row becomes this, key and all.
    Put(Item),
    /// The row goes, if it is there.
    Delete,
    /// Attributes of the row change; the row is made if it is not there.
    Update(Update),
    /// Nothing: the action is its condition.
    Check,
}

/// What must hold of the stored row, or the whole transaction is cancelled.
#[derive(Clone, PartialEq)]
pub enum Condition {
    /// It has no such attribute; a row that is not there has none.
    Absent(String),
    /// It has this attribute, and it equals the value.
    Is(String, AttributeValue),
    /// It has no such attribute, or it equals the value.
    AbsentOrIs(String, AttributeValue),
}

/// Changes of single attributes, each attribute at most once.
#[derive(Clone, Default, PartialEq)]
pub struct Update {
    /// Attributes that become these values.
    pub set: BTreeMap<String, AttributeValue>,
    /// Numbers that are added to; an attribute that is not there counts as 0.
    pub add: BTreeMap<String, Decimal>,
    /// Attributes that go.
    pub remove: Vec<String>,
}

impl Action {
    /// The row becomes `row`, which holds the key's attributes as well.
    pub fn put(key: Item, row: Item) -> Self {
        Self { key, effect: Effect::Put(row), condition: None }
    }

    /// The row goes.
    pub fn delete(key: Item) -> Self {
        Self { key, effect: Effect::Delete, condition: None }
    }

    /// Attributes of the row change.
    pub fn update(key: Item, update: Update) -> Self {
        Self { key, effect: Effect::Update(update), condition: None }
    }

    /// Nothing happens to the row, but the others depend on it.
    pub fn check(key: Item, condition: Condition) -> Self {
        Self { key, effect: Effect::Check, condition: Some(condition) }
    }

    /// The same action under a condition.
    #[must_use]
    pub fn only_if(self, condition: Condition) -> Self {
        Self { condition: Some(condition), ..self }
    }

    /// The key's attributes, and no others.
    pub fn key(&self) -> &Item {
        &self.key
    }

    /// What becomes of the row.
    pub fn effect(&self) -> &Effect {
        &self.effect
    }

    /// What must hold of the stored row.
    pub fn condition(&self) -> Option<&Condition> {
        self.condition.as_ref()
    }

    /// The bytes that it adds to a transaction, of at most [`TRANSACTION_BYTES`](super::TRANSACTION_BYTES); of an update,
    /// without what the row holds already.
    pub fn size(&self) -> usize {
        let changes = match &self.effect {
            Effect::Put(row) => return item_size(row),
            Effect::Delete | Effect::Check => 0,
            Effect::Update(update) => update.size(),
        };
        item_size(&self.key) + changes
    }
}

impl Update {
    /// No changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// The attribute becomes `value`.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: AttributeValue) -> Self {
        self.set.insert(name.into(), value);
        self
    }

    /// `amount` is added to the attribute.
    #[must_use]
    pub fn add(mut self, name: impl Into<String>, amount: Decimal) -> Self {
        self.add.insert(name.into(), amount);
        self
    }

    /// The attribute goes.
    #[must_use]
    pub fn remove(mut self, name: impl Into<String>) -> Self {
        self.remove.push(name.into());
        self
    }

    fn size(&self) -> usize {
        /// A number of 38 digits, with its sign.
        const NUMBER: usize = 21;
        let set = self.set.iter().map(|(name, value)| super::size::attribute_size(name, value));
        set.sum::<usize>() + self.add.keys().map(|name| name.len() + NUMBER).sum::<usize>()
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |item: &Item| item.keys().cloned().collect::<Vec<_>>();
        let mut debug = f.debug_struct("Action");
        debug.field("key", &names(&self.key));
        match &self.effect {
            Effect::Put(row) => debug.field("put", &names(row)),
            Effect::Delete => debug.field("delete", &()),
            Effect::Update(update) => debug.field("update", update),
            Effect::Check => debug.field("check", &()),
        };
        debug.field("condition", &self.condition).finish()
    }
}

impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set: Vec<_> = self.set.keys().collect();
        let add: Vec<_> = self.add.keys().collect();
        f.debug_struct("Update").field("set", &set).field("add", &add).field("remove", &self.remove).finish()
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(name) => f.debug_tuple("Absent").field(name).finish(),
            Self::Is(name, _) => f.debug_tuple("Is").field(name).finish(),
            Self::AbsentOrIs(name, _) => f.debug_tuple("AbsentOrIs").field(name).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::table::{item, text};

    #[test]
    fn values_are_not_shown() {
        let key = item([("PK", text("secret"))]);
        let update = Update::new().set("name", text("secret")).add("sum", 7_777.into()).remove("old");
        let actions = [
            Action::put(key.clone(), key.clone()).only_if(Condition::Is("v".into(), text("secret"))),
            Action::update(key.clone(), update).only_if(Condition::AbsentOrIs("v".into(), text("secret"))),
            Action::delete(key.clone()),
            Action::check(key, Condition::Absent("v".into())),
        ];
        let shown = format!("{actions:?}");
        assert!(!shown.contains("secret") && !shown.contains("7777"), "{shown}");
        assert!(["PK", "name", "sum", "old"].iter().all(|name| shown.contains(name)), "{shown}");
    }

    #[test]
    fn sizes_count_what_is_sent() {
        let key = item([("PK", text("abc"))]);
        assert_eq!(Action::delete(key.clone()).size(), 5);
        assert_eq!(Action::put(key.clone(), item([("PK", text("abc")), ("n", text("12"))])).size(), 8);
        assert_eq!(Action::update(key, Update::new().set("n", text("12")).add("m", 1.into())).size(), 5 + 3 + 22);
    }
}
