//! Tests of the whole reader; those of its parts stand beside them.

mod decode;
mod errors;
mod events;
mod generate;
mod isolation;
mod oracle;
mod properties;
