//! Why a template cannot be read.

use std::{io, sync::Arc};

use super::Place;

/// Why a template cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The file cannot be read.
    #[error("{file} cannot be read")]
    File {
        /// The path as it was given.
        file: Arc<str>,
        /// What the system said.
        source: io::Error,
    },
    /// The text is neither YAML nor JSON.
    #[error("{file}:{place}: not YAML or JSON: {reason}")]
    Syntax {
        /// The file.
        file: Arc<str>,
        /// Where reading ended.
        place: Place,
        /// What was wrong.
        reason: String,
    },
    /// Values are nested too deep.
    #[error("{file}:{place}: values are nested more than {limit} deep")]
    TooDeep {
        /// The file.
        file: Arc<str>,
        /// Where the limit was passed.
        place: Place,
        /// How deep they may be nested.
        limit: usize,
    },
    /// Aliases make the template grow beyond measure.
    #[error("{file}:{place}: aliases make more than {limit} values of the template")]
    TooLarge {
        /// The file.
        file: Arc<str>,
        /// Where the limit was passed.
        place: Place,
        /// How many values there may be.
        limit: usize,
    },
    /// It is no template: there is no map of resources.
    #[error("{file}: no template: `Resources` is missing or no map")]
    NoResources {
        /// The file.
        file: Arc<str>,
    },
}

impl TemplateError {
    /// The place of the fault, where it has one.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Syntax { place, .. } | Self::TooDeep { place, .. } | Self::TooLarge { place, .. } => Some(*place),
            Self::File { .. } | Self::NoResources { .. } => None,
        }
    }
}
