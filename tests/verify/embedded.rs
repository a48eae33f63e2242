//! On the real API.
