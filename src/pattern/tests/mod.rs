//! Every operator on every kind of value, statement by statement of what AWS does.

mod builder;
mod explained;
mod operators;
mod rejected;
mod traps;
