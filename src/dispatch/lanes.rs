//! Which record of a window is the first of its lane.

/// A table of the lanes of a window, by open addressing: a lane is a hash already, so nothing is hashed again.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// Indexes of records, one added; 0 is a free place. Its length is a power of two, and never more than half is taken.
    places: Vec<u32>,
    taken: usize,
}

/// The fewest places worth having.
const LEAST: usize = 64;

impl Lanes {
    /// Forgets all lanes.
    pub(super) fn clear(&mut self) {
        self.places.fill(0);
        self.taken = 0;
    }

    /// The record that is the first of a lane: `index` itself, and remembered as that, if none was before it.
    pub(super) fn first(&mut self, lane: u64, index: usize, lane_of: impl Fn(usize) -> u64) -> usize {
        if 2 * (self.taken + 1) > self.places.len() {
            self.grow(&lane_of);
        }
        let place = self.place(lane, &lane_of);
        if let Some(first) = (self.places[place] as usize).checked_sub(1) {
            return first;
        }
        self.places[place] = index as u32 + 1;
        self.taken += 1;
        index
    }

    /// Where a lane stands, or the free place where it belongs.
    fn place(&self, lane: u64, lane_of: impl Fn(usize) -> u64) -> usize {
        let mask = self.places.len() - 1;
        let mut place = lane as usize & mask;
        while self.places[place] != 0 && lane_of(self.places[place] as usize - 1) != lane {
            place = (place + 1) & mask;
        }
        place
    }

    fn grow(&mut self, lane_of: impl Fn(usize) -> u64) {
        let larger = vec![0; (2 * self.places.len()).max(LEAST)];
        for entry in std::mem::replace(&mut self.places, larger).into_iter().filter(|entry| *entry != 0) {
            let place = self.place(lane_of(entry as usize - 1), &lane_of);
            self.places[place] = entry;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_of_each_lane_is_found(windows in prop::collection::vec(prop::collection::vec(0_u64..400, 0..600), 1..3)) {
            let mut lanes = Lanes::default();
            for window in windows {
                lanes.clear();
                let mut model = HashMap::new();
                for (index, lane) in window.iter().map(|lane| lane << 32).enumerate() {
                    let first = *model.entry(lane).or_insert(index);
                    prop_assert_eq!(lanes.first(lane, index, |at| window[at] << 32), first);
                }
            }
        }
    }
}
