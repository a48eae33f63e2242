//! The chapters.

#[doc = include_str!("architecture.md")]
pub mod architecture {}

#[doc = include_str!("ordering.md")]
pub mod ordering {}

#[doc = include_str!("views.md")]
pub mod views {}

#[doc = include_str!("deploy.md")]
pub mod deploy {}

#[doc = include_str!("operate.md")]
pub mod operate {}

#[doc = include_str!("security.md")]
pub mod security {}
