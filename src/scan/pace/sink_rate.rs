//! A limit for what comes behind the scan.

/// How many items a second are handed out, for a sink that takes fewer than the scan reads.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum SinkRate {
    /// Items a second.
    Items(f64),
    /// Write units a second, if every item were written once: one for each begun KB.
    ///
    /// An item is taken to be as long as its JSON, which is somewhat longer than what DynamoDB counts.
    WriteUnits(f64),
}

impl SinkRate {
    /// How many units a second.
    pub fn per_second(self) -> f64 {
        match self {
            Self::Items(rate) | Self::WriteUnits(rate) => rate,
        }
    }

    /// What an item of so many bytes of JSON costs.
    pub fn cost(self, bytes: usize) -> f64 {
        match self {
            Self::Items(_) => 1.0,
            Self::WriteUnits(_) => bytes.div_ceil(1024).max(1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_cost_by_what_is_limited() {
        assert_eq!(
            [0, 1, 1024, 1025, 409_600].map(|bytes| SinkRate::WriteUnits(1.0).cost(bytes)),
            [1.0, 1.0, 1.0, 2.0, 400.0]
        );
        assert_eq!(SinkRate::Items(5.0).cost(409_600), 1.0);
        assert_eq!(SinkRate::Items(5.0).per_second(), 5.0);
    }
}
