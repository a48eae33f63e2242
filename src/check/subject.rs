//! A mapping with all that its settings must agree with.

use super::{Rule, allows};
use crate::template::{Function, Mapping, Place, Resource, Table, Template};

/// A mapping, the function that it invokes and the table that it reads, as far as they are in the template.
pub(super) struct Subject<'a> {
    pub(super) mapping: Mapping,
    pub(super) function: Option<Function>,
    pub(super) table: Option<Table>,
    /// The resource that the mapping is written in.
    pub(super) resource: Option<&'a Resource>,
}

impl<'a> Subject<'a> {
    /// Those that are deployed, or may be.
    pub(super) fn all_of(template: &'a Template) -> Vec<Self> {
        let of = |mapping: Mapping| {
            let function = mapping.function.as_ref().and_then(|id| template.function(id));
            let table = template.table_of(&mapping);
            let id = if mapping.is_event { mapping.function.as_ref() } else { Some(&mapping.id) };
            let resource = id.and_then(|id| template.resource(id));
            Self { mapping, function, table, resource }
        };
        template.mappings().into_iter().filter(|mapping| mapping.active != Some(false)).map(of).collect()
    }

    pub(super) fn allows(&self, rule: Rule) -> bool {
        self.resource.is_some_and(|resource| allows(&resource.metadata, rule))
    }

    /// Where the mapping is named: the place of what is missing.
    pub(super) fn place(&self) -> Place {
        self.mapping.place
    }

    /// The function's name for people.
    pub(super) fn function_name(&self) -> &str {
        self.mapping.function.as_deref().unwrap_or("the function")
    }
}
