//! How rows of the target differ from items of the source.

use std::{fmt, sync::Arc};

use crate::{
    handler::Failure,
    sink::table::{AttributeValue, Item},
};

/// What a transformation may return: the row, an `Option` of it, or a `Result` of either.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a transformation can return",
    note = "return `Item`, `Option<Item>`, or a `Result` of one whose error is `Failure` or any error"
)]
pub trait IntoRow {
    /// The row that this value stands for; none if the target is not to have the item.
    ///
    /// # Errors
    /// The failure of the record.
    fn into_row(self) -> Result<Option<Item>, Failure>;
}

impl IntoRow for Item {
    fn into_row(self) -> Result<Option<Item>, Failure> {
        Ok(Some(self))
    }
}

impl IntoRow for Option<Item> {
    fn into_row(self) -> Result<Option<Item>, Failure> {
        Ok(self)
    }
}

impl<R: IntoRow, E: Into<Failure>> IntoRow for Result<R, E> {
    fn into_row(self) -> Result<Option<Item>, Failure> {
        self.map_err(Into::into)?.into_row()
    }
}

pub(super) type Transform = dyn Fn(Item) -> Result<Option<Item>, Failure> + Send + Sync;

type Step = dyn Fn(&mut Item) -> bool + Send + Sync;

/// The usual ways in which a row of the target differs from its item, one after another as they are listed.
///
/// ```
/// use anabranch::{replica::Shape, sink::table::{AttributeValue, item, text}};
///
/// let shape = Shape::new()
///     .only_if(|row| row.get("entityType") == Some(&text("PET")))
///     .drop("vet")
///     .rename("weightKg", "kilograms")
///     .mask("owner", text("***"))
///     .compute("heavy", |row| Some(AttributeValue::Bool(row.contains_key("kilograms"))));
///
/// let pet = item([("PK", text("USER#1")), ("entityType", text("PET")), ("owner", text("Ada")), ("vet", text("x"))]);
/// let row = shape.apply(pet).expect("a pet");
/// assert_eq!((&row["owner"], row.get("vet")), (&text("***"), None));
/// assert!(shape.apply(item([("entityType", text("USER"))])).is_none());
/// ```
#[derive(Clone, Default)]
pub struct Shape {
    steps: Vec<Arc<Step>>,
}

impl Shape {
    /// Rows as the items are.
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves an attribute out.
    #[must_use]
    pub fn drop(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.change(move |row| _ = row.remove(&name))
    }

    /// Gives an attribute another name, in place of one that has that name already. Without effect on rows that do not have
    /// it.
    #[must_use]
    pub fn rename(self, name: impl Into<String>, to: impl Into<String>) -> Self {
        let (name, to) = (name.into(), to.into());
        self.change(move |row| {
            if let Some(value) = row.remove(&name) {
                row.insert(to.clone(), value);
            }
        })
    }

    /// Puts a value in place of an attribute's own. Without effect on rows that do not have it.
    #[must_use]
    pub fn mask(self, name: impl Into<String>, value: AttributeValue) -> Self {
        let name = name.into();
        self.change(move |row| {
            if let Some(own) = row.get_mut(&name) {
                own.clone_from(&value);
            }
        })
    }

    /// Sets an attribute to what a pure function makes of the row so far; of none, the row has no such attribute.
    #[must_use]
    pub fn compute(
        self,
        name: impl Into<String>,
        value: impl Fn(&Item) -> Option<AttributeValue> + Send + Sync + 'static,
    ) -> Self {
        let name = name.into();
        self.change(move |row| match value(row) {
            Some(value) => _ = row.insert(name.clone(), value),
            None => _ = row.remove(&name),
        })
    }

    /// Keeps the items that a pure function wants, by the row so far. One that it wants no more is deleted.
    #[must_use]
    pub fn only_if(mut self, wants: impl Fn(&Item) -> bool + Send + Sync + 'static) -> Self {
        self.steps.push(Arc::new(move |row| wants(row)));
        self
    }

    /// The row of an item, or none if the target is not to have it.
    pub fn apply(&self, mut row: Item) -> Option<Item> {
        self.steps.iter().all(|step| step(&mut row)).then_some(row)
    }

    fn change(mut self, change: impl Fn(&mut Item) + Send + Sync + 'static) -> Self {
        self.steps.push(Arc::new(move |row| {
            change(row);
            true
        }));
        self
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shape").field("steps", &self.steps.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::table::{item, text};

    fn pet() -> Item {
        item([("PK", text("a")), ("name", text("Mia"))])
    }

    #[test]
    fn steps_are_taken_in_order() {
        let shape = Shape::new().rename("name", "called").rename("called", "name").rename("name", "PK");
        assert_eq!(shape.apply(pet()), Some(item([("PK", text("Mia"))])));
        let asked = Shape::new().only_if(|row| row.contains_key("name")).drop("name");
        assert_eq!(asked.apply(pet()), Some(item([("PK", text("a"))])));
        let dropped = Shape::new().drop("name").only_if(|row| row.contains_key("name"));
        assert_eq!(dropped.apply(pet()), None);
    }

    #[test]
    fn what_is_not_there_is_neither_masked_nor_renamed() {
        let shape = Shape::new().mask("phone", text("***")).rename("phone", "telephone").compute("phone", |_| None);
        assert_eq!(shape.apply(pet()), Some(pet()));
    }

    #[test]
    fn a_transformation_may_answer_in_many_ways() {
        assert!(matches!(pet().into_row(), Ok(Some(_))));
        assert!(matches!(None::<Item>.into_row(), Ok(None)));
        assert!(matches!(Ok::<_, std::fmt::Error>(pet()).into_row(), Ok(Some(_))));
        assert!(Err::<Item, _>(Failure::reject("no")).into_row().is_err_and(|failure| failure.is_reject()));
        assert!(Err::<Item, _>(std::fmt::Error).into_row().is_err_and(|failure| !failure.is_reject()));
    }
}
