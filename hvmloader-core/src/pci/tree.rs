//! The tree of buses: what each function wants, and how large the windows of bridges are for it.

use alloc::vec::Vec;

use super::room::{Item, Wish, align_up, sort};
use super::{
    BarKind, BridgeWindow, PciBridge, PciDevice, PciFunction, PciPart, PrefetchableWindow,
};
use crate::Error;

const BUSES: usize = 256;
/// The granularity of a bridge's windows.
const IO_WINDOW: u64 = 0x1000;
const MEMORY_WINDOW: u64 = 0x10_0000;
/// No BAR is larger: physical addresses have 52 bits.
const LARGEST: u64 = 1 << 51;

/// A window, and what is where in it: items with their offsets.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) bridge: PciFunction,
    pub(super) part: PciPart,
    pub(super) contents: Vec<(Item, u64)>,
}

/// What has to be placed on the root buses, and the windows, each behind those above it.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) roots: Vec<Item>,
    pub(super) windows: Vec<Window>,
    /// Bridges with the last bus that is behind each.
    pub(super) bridges: Vec<(PciFunction, PciBridge, u8)>,
}

impl Tree {
    pub(super) fn new(devices: &[PciDevice]) -> Result<Self, Error> {
        let mut bridges = bridges(devices)?;
        let mut buses: Vec<Vec<Item>> = Vec::new();
        buses.resize_with(BUSES, Vec::new);
        for device in devices {
            buses[usize::from(device.function.bus())].extend(items(device)?);
        }
        // From the highest bus down: a bridge's bus is below the one behind it.
        let mut windows = Vec::new();
        bridges.sort_by_key(|(_, bridge, _)| core::cmp::Reverse(bridge.secondary));
        for &(function, bridge, _) in &bridges {
            let behind = core::mem::take(&mut buses[usize::from(bridge.secondary)]);
            for (part, wish, items) in sort_into_windows(function, bridge, behind)? {
                let (contents, item) = pack(function, part, wish, items)?;
                windows.push(Window { bridge: function, part, contents });
                buses[usize::from(function.bus())].push(item);
            }
        }
        windows.reverse();
        bridges.reverse();
        Ok(Self { roots: buses.into_iter().flatten().collect(), windows, bridges })
    }
}

/// Returns the bridges with the last bus behind each, and sees that buses form a tree in which
/// each bridge's are consecutive.
fn bridges(devices: &[PciDevice]) -> Result<Vec<(PciFunction, PciBridge, u8)>, Error> {
    let mut functions: Vec<_> = devices.iter().map(|device| device.function).collect();
    functions.sort_unstable();
    if let Some(pair) = functions.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Error::PciFunctionTwice { function: pair[0] });
    }
    let mut above: [Option<PciFunction>; BUSES] = [None; BUSES];
    let mut last: [u8; BUSES] = core::array::from_fn(|bus| u8::try_from(bus).unwrap_or(u8::MAX));
    let mut found: Vec<(PciFunction, PciBridge)> =
        devices.iter().filter_map(|device| Some((device.function, device.bridge?))).collect();
    found.sort_by_key(|(_, bridge)| core::cmp::Reverse(bridge.secondary));
    for &(function, PciBridge { secondary, .. }) in &found {
        let slot = &mut above[usize::from(secondary)];
        if secondary <= function.bus() || slot.is_some() {
            return Err(Error::BridgeBus { bridge: function, secondary });
        }
        *slot = Some(function);
        let behind = last[usize::from(secondary)];
        let own = &mut last[usize::from(function.bus())];
        *own = behind.max(*own);
    }
    let is_behind = |mut bus: u8, secondary: u8| {
        while bus > secondary {
            match above[usize::from(bus)] {
                Some(bridge) => bus = bridge.bus(),
                None => return false,
            }
        }
        bus == secondary
    };
    let mut known = functions.iter().map(|function| function.bus()).collect::<Vec<_>>();
    known.extend(found.iter().map(|(_, bridge)| bridge.secondary));
    known.sort_unstable();
    known.dedup();
    let mut checked = Vec::with_capacity(found.len());
    for (bridge, at) in found {
        let secondary = at.secondary;
        let end = last[usize::from(secondary)];
        if known.iter().any(|&bus| (secondary..=end).contains(&bus) && !is_behind(bus, secondary)) {
            return Err(Error::BridgeBus { bridge, secondary });
        }
        checked.push((bridge, at, end));
    }
    Ok(checked)
}

/// Returns what one function wants, windows apart.
fn items(device: &PciDevice) -> Result<Vec<Item>, Error> {
    let function = device.function;
    let registers = if device.bridge.is_some() { 2 } else { 6 };
    let mut taken = [false; 6];
    let mut items = Vec::with_capacity(device.bars.len() + 1);
    for bar in &device.bars {
        let part = PciPart::Bar(bar.index);
        let wide = matches!(bar.kind, BarKind::Memory64 { .. });
        let (first, count) = (usize::from(bar.index), 1 + usize::from(wide));
        let slots =
            taken.get_mut(..registers).and_then(|slots| slots.get_mut(first..)?.get_mut(..count));
        match slots {
            Some(slots) if !slots.contains(&true) => slots.fill(true),
            _ => return Err(Error::BarIndex { function, part }),
        }
        let (wish, least, most) = match bar.kind {
            BarKind::Io => (Wish::Io, 4, 0x8000),
            BarKind::Memory32 { prefetchable: false } => (Wish::Memory32, 0x10, 1 << 31),
            BarKind::Memory32 { prefetchable: true } => (Wish::Prefetchable32, 0x10, 1 << 31),
            BarKind::Memory64 { prefetchable: false } => (Wish::Memory64, 0x10, LARGEST),
            BarKind::Memory64 { prefetchable: true } => (Wish::Prefetchable64, 0x10, LARGEST),
        };
        let size = bar.size_bytes;
        if !size.is_power_of_two() || !(least..=most).contains(&size) {
            return Err(Error::BarSize { function, part, size_bytes: size });
        }
        items.push(Item { function, part, wish, size, alignment: size });
    }
    let (size, part) = (device.rom_bytes, PciPart::Rom);
    if size != 0 {
        if !size.is_power_of_two() || !(0x800..=0x100_0000).contains(&size) {
            return Err(Error::BarSize { function, part, size_bytes: size });
        }
        items.push(Item { function, part, wish: Wish::Memory32, size, alignment: size });
    }
    Ok(items)
}

/// Says through which window of `bridge` each item goes; windows without an item are left out.
///
/// Memory that no bridge may read ahead, and memory below 4 GiB where the prefetchable window may
/// be above, goes through the memory window.
fn sort_into_windows(
    function: PciFunction,
    bridge: PciBridge,
    items: Vec<Item>,
) -> Result<impl Iterator<Item = (PciPart, Wish, Vec<Item>)>, Error> {
    let mut windows = [
        (PciPart::Window(BridgeWindow::Io), Wish::Io, Vec::new()),
        (PciPart::Window(BridgeWindow::Memory), Wish::Memory32, Vec::new()),
        (PciPart::Window(BridgeWindow::Prefetchable), Wish::Prefetchable32, Vec::new()),
    ];
    let [io, memory, prefetchable] = &mut windows;
    if bridge.prefetchable == PrefetchableWindow::Bits64 {
        prefetchable.1 = Wish::Prefetchable64;
    }
    for item in items {
        let window = match (item.wish, bridge.prefetchable) {
            (Wish::Io, _) if bridge.io => &mut *io,
            (Wish::Io, _) => {
                let (owner, part) = (item.function, item.part);
                return Err(Error::NoIoWindow { bridge: function, function: owner, part });
            }
            (Wish::Prefetchable64, PrefetchableWindow::Bits64 | PrefetchableWindow::Bits32)
            | (Wish::Prefetchable32, PrefetchableWindow::Bits32) => &mut *prefetchable,
            _ => &mut *memory,
        };
        window.2.push(item);
    }
    Ok(windows.into_iter().filter(|(_, _, items)| !items.is_empty()))
}

/// Packs `items` from the beginning of a window, and returns the window as an item of the bridge.
fn pack(
    function: PciFunction,
    part: PciPart,
    wish: Wish,
    mut items: Vec<Item>,
) -> Result<(Vec<(Item, u64)>, Item), Error> {
    let unit = if wish == Wish::Io { IO_WINDOW } else { MEMORY_WINDOW };
    sort(&mut items);
    let alignment = items.iter().map(|item| item.alignment).fold(unit, u64::max);
    let mut end = 0;
    let mut contents = Vec::with_capacity(items.len());
    for item in items {
        let start = align_up(end, item.alignment).ok_or(item.no_room())?;
        end = start.checked_add(item.size).ok_or(item.no_room())?;
        contents.push((item, start));
    }
    let window = Item { function, part, wish, size: end, alignment };
    let size = align_up(end, unit).ok_or(window.no_room())?;
    Ok((contents, Item { size, ..window }))
}
