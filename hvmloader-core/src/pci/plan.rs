//! The planner: the hole, RAM around it, and a place for everything.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use guest_state::{Gpa, GpaRange};

use super::room::{Item, Room, Wish, sort};
use super::tree::Tree;
use super::{PciFunction, PciPart, PciResources};
use crate::Error;

const ONE_MIB: u64 = 1 << 20;
const FOUR_GIB: u64 = 1 << 32;
const PORTS_END: u64 = 0x1_0000;

/// Where a part of a function goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PciPlace {
    /// I/O ports.
    Ports {
        /// The first.
        first: u16,
        /// How many.
        count: u32,
    },
    /// Memory addresses.
    Memory(GpaRange),
}

/// A part of a function and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciAssignment {
    /// Whose.
    pub function: PciFunction,
    /// What.
    pub part: PciPart,
    /// Where.
    pub place: PciPlace,
}

/// Where everything goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PciPlan {
    /// The hole for devices below 4 GiB.
    pub hole: GpaRange,
    /// RAM below the hole, from 0; what a PC has between 640 KiB and 1 MiB is in it.
    pub low_ram: GpaRange,
    /// RAM from 4 GiB on; empty if there is none.
    pub high_ram: GpaRange,
    /// How much RAM is above 4 GiB because the hole had to grow.
    pub relocated_bytes: u64,
    /// From the first to the last BAR above 4 GiB; empty if there is none.
    pub high_devices: GpaRange,
    /// All BARs, option ROMs and windows, by function; a window that is not here is closed.
    pub assignments: Vec<PciAssignment>,
    /// Bridges with the bus behind each and the last one behind that.
    pub bridges: Vec<(PciFunction, u8, u8)>,
}

impl PciPlan {
    /// Returns where a part of a function goes.
    #[must_use]
    pub fn place(&self, function: PciFunction, part: PciPart) -> Option<PciPlace> {
        let key = (function, part);
        let at = self.assignments.binary_search_by_key(&key, |found| (found.function, found.part));
        at.ok().map(|at| self.assignments[at].place)
    }
}

/// Gives every BAR, option ROM and window addresses.
///
/// The hole grows downwards, doubling, as far as it may, before 64-bit BARs leave it for the
/// addresses behind RAM, the largest first. Each goes to the lowest place where it fits, the one
/// with the largest alignment first: for BARs alone that finds room wherever there is some, and
/// only windows, whose sizes are no powers of two, may leave gaps.
///
/// # Errors
/// [`Error::PciNoRoom`] with the first that does not fit; [`Error::Hole`] and
/// [`Error::PhysicalBits`] for limits that can't be; and what is wrong with the functions:
/// [`Error::PciFunctionTwice`], [`Error::BarIndex`], [`Error::BarSize`], [`Error::BridgeBus`],
/// [`Error::NoIoWindow`].
///
/// # Source
/// PCI Local Bus Specification 3.0 §6.2.5; PCI-to-PCI Bridge Architecture Specification 1.2
/// §3.2.5. The order of attempts is that of Xen's hvmloader.
pub fn plan_pci(resources: &PciResources) -> Result<PciPlan, Error> {
    let holes = holes(resources)?;
    let tree = Tree::new(&resources.devices)?;
    let mut places = BTreeMap::new();

    let (mut ports, memory): (Vec<_>, Vec<_>) =
        tree.roots.iter().partition(|item| item.wish == Wish::Io);
    sort(&mut ports);
    let mut room = Room::new(resources.first_port.into(), PORTS_END);
    for item in ports {
        places.insert((item.function, item.part), (item, room.take(&item)?));
    }

    let (mut movable, low): (Vec<_>, Vec<_>) =
        memory.into_iter().partition(|item| item.wish.is_64_bit());
    movable.sort_by_key(|item| core::cmp::Reverse((item.size, item.alignment)));
    let high_at_least =
        movable.iter().filter(|item| item.size >= resources.high_from_bytes).count();
    let mut refused = None;
    for high_count in high_at_least..=movable.len() {
        let (high, stay) = movable.split_at(high_count);
        let low: Vec<_> = low.iter().chain(stay).copied().collect();
        for &start in &holes {
            match attempt(resources, start, &low, high) {
                Ok(found) => {
                    for (item, at) in found {
                        places.insert((item.function, item.part), (item, at));
                    }
                    return finish(resources, start, &tree, places);
                }
                // What stays in the way when all that can has moved is what does not fit.
                Err(error) => refused = Some(error),
            }
        }
    }
    Err(refused.unwrap_or(Error::Hole {
        hole: GpaRange::default(),
        lowest: resources.hole.lowest.as_u64(),
    }))
}

/// Returns where the hole may begin, in the order of attempts; there is at least one.
fn holes(resources: &PciResources) -> Result<Vec<u64>, Error> {
    let PciResources { hole, ram_bytes, physical_bits: bits, .. } = *resources;
    let (start, end, lowest) = (hole.start.as_u64(), hole.end.as_u64(), hole.lowest.as_u64());
    if start >= end || end > FOUR_GIB || lowest > start || lowest < ONE_MIB {
        let hole = GpaRange::from_bounds(hole.start, hole.end).unwrap_or_default();
        return Err(Error::Hole { hole, lowest });
    }
    let top = FOUR_GIB.saturating_add(ram_bytes.saturating_sub(start));
    if !(36..=52).contains(&bits) || top > 1 << bits {
        return Err(Error::PhysicalBits { bits, end: top });
    }
    let doubled = |&start: &u64| {
        let next = FOUR_GIB.saturating_sub(2 * (FOUR_GIB - start)).max(lowest);
        (next < start).then_some(next)
    };
    let allowed = |&below: &u64| resources.may_relocate_ram || ram_bytes.min(start) <= below;
    let all = core::iter::successors(Some(start), doubled);
    Ok(all.filter(allowed).collect())
}

fn ram(resources: &PciResources, hole: u64) -> (u64, u64) {
    let low = resources.ram_bytes.min(hole);
    (low, FOUR_GIB + (resources.ram_bytes - low))
}

/// Places `low` in the hole that begins at `start`, and `high` behind RAM.
fn attempt(
    resources: &PciResources,
    start: u64,
    low: &[Item],
    high: &[Item],
) -> Result<Vec<(Item, u64)>, Error> {
    let (_, high_ram_end) = ram(resources, start);
    let bits = resources.physical_bits;
    if high_ram_end > 1 << bits {
        return Err(Error::PhysicalBits { bits, end: high_ram_end });
    }
    let spaces = [
        (low, Room::new(start, resources.hole.end.as_u64())),
        (high, Room::new(high_ram_end, 1 << bits)),
    ];
    let mut found = Vec::with_capacity(low.len() + high.len());
    for (items, mut room) in spaces {
        for range in &resources.reserved {
            room.remove(range.start().as_u64(), range.end().as_u64());
        }
        let mut items = items.to_vec();
        sort(&mut items);
        let mut left = room.size();
        if let Some(item) = items.iter().find(|item| {
            let fits = left.checked_sub(item.size);
            left = fits.unwrap_or(left);
            fits.is_none()
        }) {
            return Err(item.no_room());
        }
        for item in items {
            found.push((item, room.take(&item)?));
        }
    }
    Ok(found)
}

/// Carries the places of windows on to what is behind them, and makes the plan.
fn finish(
    resources: &PciResources,
    start: u64,
    tree: &Tree,
    mut places: BTreeMap<(PciFunction, PciPart), (Item, u64)>,
) -> Result<PciPlan, Error> {
    for window in &tree.windows {
        let Some(&(_, base)) = places.get(&(window.bridge, window.part)) else { continue };
        for &(item, offset) in &window.contents {
            places.insert((item.function, item.part), (item, base + offset));
        }
    }
    let mut assignments = Vec::with_capacity(places.len());
    let (mut first, mut end) = (u64::MAX, 0);
    for ((function, part), (item, at)) in places {
        let place = if item.wish == Wish::Io {
            let first = u16::try_from(at).map_err(|_| item.no_room())?;
            let count = u32::try_from(item.size).map_err(|_| item.no_room())?;
            PciPlace::Ports { first, count }
        } else {
            if at >= FOUR_GIB {
                (first, end) = (first.min(at), end.max(at + item.size));
            }
            PciPlace::Memory(range(at, at + item.size))
        };
        assignments.push(PciAssignment { function, part, place });
    }
    let (low, high_ram_end) = ram(resources, start);
    let (unmoved, _) = ram(resources, resources.hole.start.as_u64());
    Ok(PciPlan {
        hole: range(start, resources.hole.end.as_u64()),
        low_ram: range(0, low),
        high_ram: range(FOUR_GIB, high_ram_end),
        relocated_bytes: unmoved - low,
        high_devices: if first < end { range(first, end) } else { GpaRange::default() },
        assignments,
        bridges: tree
            .bridges
            .iter()
            .map(|&(function, bridge, last)| (function, bridge.secondary, last))
            .collect(),
    })
}

fn range(start: u64, end: u64) -> GpaRange {
    GpaRange::from_bounds(Gpa::new(start), Gpa::new(end)).unwrap_or_default()
}
