//! Labels beside a column: each as near as can be to what it is about, none over another.

/// What is between two labels at least.
const GAP: f64 = 5.0;

/// What a label wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// Where its middle is best.
    pub(super) middle: f64,
    pub(super) height: f64,
}

/// Labels that touch, and so move together.
struct Cluster {
    first: usize,
    count: usize,
    top: f64,
    height: f64,
    /// The sum of where each of them would have the cluster begin.
    wanted: f64,
}

/// Returns where each label begins, the wishes being in rising order. None begins above `least`.
///
/// The places are those with the least sum of squared distances from the wishes.
pub(super) fn arrange(wishes: &[Wish], least: f64) -> Vec<f64> {
    let mut clusters: Vec<Cluster> = Vec::new();
    for (first, wish) in wishes.iter().enumerate() {
        let wanted = wish.middle - wish.height / 2.0;
        let top = wanted.max(least);
        let mut last = Cluster { first, count: 1, top, height: wish.height, wanted };
        while let Some(before) = clusters.pop_if(|it| it.top + it.height + GAP > last.top) {
            let offset = before.height + GAP;
            let wanted = before.wanted + last.wanted - offset * count(last.count);
            let number = before.count + last.count;
            last = Cluster {
                first: before.first,
                count: number,
                top: (wanted / count(number)).max(least),
                height: offset + last.height,
                wanted,
            };
        }
        clusters.push(last);
    }
    let mut tops = Vec::with_capacity(wishes.len());
    for cluster in clusters {
        let mut top = cluster.top;
        for wish in wishes.iter().skip(cluster.first).take(cluster.count) {
            tops.push(top);
            top += wish.height + GAP;
        }
    }
    tops
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn labels_with_room_stay_where_they_want_to_be() {
        let wish = |middle| Wish { middle, height: 30.0 };
        assert_eq!(arrange(&[wish(100.0), wish(200.0)], 0.0), [85.0, 185.0]);
        // Two that want the same share the distance; the first can't leave the page.
        assert_eq!(arrange(&[wish(100.0), wish(100.0)], 0.0), [67.5, 102.5]);
        assert_eq!(arrange(&[wish(0.0), wish(0.0)], 10.0), [10.0, 45.0]);
        assert!(arrange(&[], 0.0).is_empty());
    }

    proptest! {
        #[test]
        fn no_two_overlap_and_all_are_in_order(
            mut middles in prop::collection::vec(0_u32..2000, 0..60),
            heights in prop::collection::vec(10_u32..60, 60),
        ) {
            middles.sort_unstable();
            let wishes: Vec<_> = middles
                .iter()
                .zip(heights)
                .map(|(middle, height)| Wish { middle: f64::from(*middle), height: f64::from(height) })
                .collect();
            let tops = arrange(&wishes, 50.0);
            prop_assert_eq!(tops.len(), wishes.len());
            prop_assert!(tops.iter().all(|top| *top >= 50.0));
            for (pair, wish) in tops.windows(2).zip(&wishes) {
                prop_assert!(pair[0] + wish.height + GAP <= pair[1] + 1e-6, "{:?}", tops);
            }
        }
    }
}
