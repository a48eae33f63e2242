//! Consecutive exports.
