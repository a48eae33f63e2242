//! The chapters.

#[doc = include_str!("architecture.md")]
pub mod architecture {}

#[doc = include_str!("ordering.md")]
pub mod ordering {}

#[doc = include_str!("views.md")]
pub mod views {}

#[doc = include_str!("deploy.md")]
pub mod deploy {}

#[cfg(all(feature = "mapping", feature = "testing"))]
#[doc = include_str!("local.md")]
pub mod local {}
#[doc = include_str!("filters.md")]
pub mod filters {}
#[cfg(feature = "cli")]
#[doc = include_str!("scan_recipes.md")]
pub mod scan_recipes {}
#[doc = include_str!("operate.md")]
pub mod operate {}

#[doc = include_str!("security.md")]
pub mod security {}
