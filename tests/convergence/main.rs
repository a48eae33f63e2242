//! Convergence: a table with a past, users who go on changing it, the stream's workers and a backfill side by side, on virtual time.
//!
//! Everything takes its time here: pages lie between being read and being applied, requests wait on their way there and back, workers are killed
//! at any moment, and what they have sent may arrive after they are gone. At the end the target is the table.
//!
//! A history is made of a seed and nothing else. A failure prints its seed, and `ANABRANCH_SEED=<seed>` plays that one alone.

mod play;
#[path = "../support/seeds.rs"]
mod seeds;
mod slow;
mod source;
mod target;

/// How many there are in an ordinary test run, for each kind of target.
const HISTORIES: u64 = 5_000;

#[test]
fn a_replica_with_deletes_at_once_converges() {
    seeds::each_seed(HISTORIES, play::play::<target::Deletes>);
}

#[test]
fn a_replica_with_tombstones_converges() {
    seeds::each_seed(HISTORIES, play::play::<target::Tombstoned>);
}

#[test]
fn an_aggregate_and_a_projection_converge() {
    seeds::each_seed(HISTORIES, play::play::<target::Views>);
}

#[test]
fn a_search_index_converges() {
    seeds::each_seed(HISTORIES, play::play::<target::Documents>);
}
