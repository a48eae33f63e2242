//! Views against the table recomputed from scratch, whatever goes wrong on the way.

mod histories;
mod named;
mod requests;
#[path = "../support/seeds.rs"]
mod seeds;
mod world;
