//! The filter patterns of a mapping of a template.

use anabranch::template::{Filter, Mapping, Setting};

use crate::BoxError;

/// All of them, as texts.
///
/// # Errors
/// Some of them cannot be told from the template: what is delivered would be a guess.
pub(crate) fn of(mapping: &Mapping) -> Result<Vec<String>, BoxError> {
    let id = &mapping.id;
    let filters = match &mapping.filters {
        Setting::Absent => &[][..],
        Setting::Known(filters, _) => filters,
        _ => return Err(format!("{id}: what its filters are cannot be told from the template").into()),
    };
    let pattern = |filter: &Filter| filter.pattern.known().cloned().ok_or(filter.place);
    let patterns: Result<Vec<String>, _> = filters.iter().map(pattern).collect();
    patterns.map_err(|place| format!("{id}: the pattern at {place} cannot be told from the template").into())
}
