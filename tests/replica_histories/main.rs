//! Replicas against the table that they copy, whatever goes wrong on the way: tens of thousands of random histories.
//!
//! A history is made of a seed and nothing else. A failure prints its seed, and `ANABRANCH_SEED=<seed>` plays that one alone.

mod histories;
mod play;
#[path = "../support/seeds.rs"]
mod seeds;
mod staged;
mod two_way;

pub(crate) use seeds::{Dice, each_seed};
