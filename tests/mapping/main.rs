//! The event source mapping, statement by statement (`ESM-n`), and under everything that happens to streams.

mod admission;
mod batching;
mod contract;
mod driver;
mod failures;
mod losses;
mod play;
mod reader;
mod redrive;
mod streams;
mod windows;
mod world;
