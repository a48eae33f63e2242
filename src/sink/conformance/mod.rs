//! One suite per port, which every adapter passes; run it against yours as well.
//!
//! A suite panics with a sentence that says which promise of the port did not hold.

mod dead_letter;

pub use dead_letter::dead_letter_sink;
