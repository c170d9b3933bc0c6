//! From addresses to heights: piece by piece, so that bytes and gigabytes can be seen beside each other.

/// How high a piece is: this much, and more for each doubling of its size.
const LEAST_HEIGHT: f64 = 7.0;
const HEIGHT_PER_DOUBLING: f64 = 1.4;

/// A column of pieces, each as high as the logarithm of its size says, with address zero at the bottom.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    /// Where pieces end, as addresses and as heights above the bottom, in rising order.
    edges: Vec<(u64, f64)>,
    bottom: f64,
}

impl Scale {
    /// Makes a column from `top` downwards, in which something begins or ends at each of `edges`.
    pub(super) fn new(edges: impl IntoIterator<Item = u64>, top: f64) -> Self {
        let mut addresses: Vec<_> = edges.into_iter().chain([0]).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let mut height = 0.0;
        let mut edges = vec![(0, 0.0)];
        for pair in addresses.windows(2) {
            // Whole steps: what a doubling is worth needs no fractions.
            let doublings = (pair[1] - pair[0]).max(1).ilog2();
            height += LEAST_HEIGHT + HEIGHT_PER_DOUBLING * f64::from(doublings);
            edges.push((pair[1], height));
        }
        Self { edges, bottom: top + height }
    }

    /// Where address zero is.
    pub(super) const fn bottom(&self) -> f64 {
        self.bottom
    }

    /// Where an address is: lower addresses are further down.
    pub(super) fn y(&self, address: u64) -> f64 {
        let at = self.edges.partition_point(|(edge, _)| *edge <= address);
        let (low, low_height) = self.edges[at.saturating_sub(1)];
        let Some(&(high, high_height)) = self.edges.get(at) else {
            return self.bottom - low_height;
        };
        // A share of a piece, to a thousandth, is finer than a picture shows.
        let share = u128::from(address - low) * 1000 / u128::from((high - low).max(1));
        let share = f64::from(u16::try_from(share).unwrap_or(0)) / 1000.0;
        self.bottom - low_height - share * (high_height - low_height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn higher_addresses_are_higher_up_and_no_piece_is_flat() {
        let edges = [0x400, 0x401, 0xA_0000, 0x10_0000, 4 << 30, 512 << 30];
        let scale = Scale::new(edges, 100.0);
        let ys: Vec<_> = [0].iter().chain(&edges).map(|edge| scale.y(*edge)).collect();
        assert!(ys.windows(2).all(|pair| pair[0] - pair[1] >= LEAST_HEIGHT), "{ys:?}");
        assert!((ys[0] - scale.bottom()).abs() < 1e-9 && (ys[6] - 100.0).abs() < 1e-9, "{ys:?}");
        // Inside a piece, in proportion.
        let middle = f64::midpoint(scale.y(0x10_0000), scale.y(4 << 30));
        assert!((scale.y((0x10_0000 + (4 << 30)) / 2) - middle).abs() < 0.5);
        assert!((scale.y(u64::MAX) - 100.0).abs() < 1e-9, "nothing is above the top");
    }
}
