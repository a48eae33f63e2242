//! Anabranch.
