//! The tour itself: one line for each thing that a guest finds, then power-off.

use core::fmt;

use crate::acpi::{self, Fadt, Root, Table};
use crate::dump::tell_tables;
use crate::smbios::EntryPoint;
use crate::started::Started;
use crate::{Handover, Machine};

/// The command-line word whose value the tour prints last: proof that this very guest ran.
const NONCE: &str = "hvkit.nonce=";
/// The command-line word that names the ports to reset the machine by, one after the other, each
/// at the end of one tour: `cf9`, `64` or `92`.
const RESETS: &str = "hvkit.resets=";
/// The command-line word that asks for the tables byte for byte.
const TABLES: &str = "hvkit.tables";
const PM1_SLEEP_ENABLE: u16 = 1 << 13;

/// Says how the guest was started and what it found, then powers off.
///
/// Returns only where that failed.
///
/// # Errors
/// Why the machine could not be powered off.
pub fn tour(handover: &Handover, machine: &mut impl Machine) -> Result<(), &'static str> {
    let _ = writeln!(machine, "hvkit tour");
    tell_registers(handover, machine);
    let started = match Started::read(handover, machine) {
        Ok(started) => started,
        Err(why) => {
            let _ = writeln!(machine, "handover      {why}");
            return Err(why);
        }
    };
    tell_cpu(machine);
    tell_handover(&started, machine);
    tell_acpi(&started, machine);
    tell_smbios(machine);
    tell_timer(&started, machine);
    tell_pci(machine);
    if started.command_line(machine).split_ascii_whitespace().any(|word| word == TABLES) {
        tell_tables(&started, machine);
    }
    let nonce = copied(word(started.command_line(machine), NONCE).unwrap_or("(none)"));
    let _ = writeln!(machine, "nonce         {}", Text(&nonce));
    let resets = copied(word(started.command_line(machine), RESETS).unwrap_or_default());
    reset(&resets, machine);
    power_off(&started, machine)
}

fn tell_registers(handover: &Handover, machine: &mut impl Machine) {
    let Handover { cr0, cr4, efer, eflags, apic_base, cs, ds, ss, tr, .. } = handover;
    let mode = if cr0 & 1 == 0 { "real mode" } else { "protected mode" };
    let paging = if cr0 >> 31 & 1 == 0 { "no paging" } else { "paging" };
    let _ = writeln!(machine, "mode          {mode}, {paging}");
    let _ = writeln!(
        machine,
        "registers     cr0 {cr0:#x}, cr4 {cr4:#x}, efer {efer:#x}, eflags {eflags:#x}"
    );
    let _ = writeln!(machine, "selectors     cs {cs:#x}, ds {ds:#x}, ss {ss:#x}, tr {tr:#x}");
    let _ = writeln!(machine, "apic base     {apic_base:#x}");
}

fn tell_cpu(machine: &mut impl Machine) {
    let text = |words: [u32; 3]| {
        let mut bytes = [0; 12];
        for (slot, word) in bytes.chunks_exact_mut(4).zip(words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    };
    let vendor = machine.cpuid(0);
    let vendor = text([vendor.ebx, vendor.edx, vendor.ecx]);
    let features = machine.cpuid(1);
    let _ = write!(machine, "cpu           {}, signature {:#x}", Text(&vendor), features.eax);
    if features.ecx >> 31 & 1 != 0 {
        let hypervisor = machine.cpuid(0x4000_0000);
        let name = text([hypervisor.ebx, hypervisor.ecx, hypervisor.edx]);
        let _ = write!(machine, ", under {}", Text(&name));
    }
    let _ = writeln!(machine);
}

fn tell_handover(started: &Started, machine: &mut impl Machine) {
    let _ =
        writeln!(machine, "started by    {}, information at {:#x}", started.protocol, started.info);
    let line = copied(started.command_line(machine));
    let _ = writeln!(machine, "command line  \"{}\"", Text(&line));
    for index in 0.. {
        let Some((address, size_bytes)) = started.module(machine, index) else { break };
        let size = usize::try_from(size_bytes).unwrap_or(usize::MAX);
        let sum = machine.memory(address, size).map(fletcher);
        let _ = write!(machine, "module        {address:#x}, {size_bytes} bytes");
        let _ = match sum {
            Some(sum) => writeln!(machine, ", fletcher-32 {sum:#010x}"),
            None => writeln!(machine, ", out of reach"),
        };
    }
    let _ = writeln!(machine, "memory map");
    for index in 0.. {
        let Some(entry) = started.memory(machine, index) else { break };
        let (start, end) = (entry.start, entry.start.saturating_add(entry.size_bytes));
        let _ = writeln!(machine, "  {start:#014x} .. {end:#014x}  {}", entry.kind);
    }
}

fn tell_acpi(started: &Started, machine: &mut impl Machine) {
    let Some(root) = Root::find(machine, started.rsdp) else {
        let _ = writeln!(machine, "acpi          no RSDP");
        return;
    };
    let mut lines = Lines::default();
    lines.line(format_args!(
        "acpi          RSDP at {:#x}, revision {}, checksum {}",
        root.address,
        root.revision,
        verdict(root.checksum_is_right),
    ));
    match root.table {
        Some(table) => lines.table(&table),
        None => lines.line(format_args!("  no XSDT or RSDT")),
    }
    for address in root.addresses() {
        match acpi::table_at(machine, address) {
            Some(table) => {
                lines.table(&table);
                if let Some(fadt) =
                    (table.signature() == "FACP").then(|| Fadt::read(&table)).flatten()
                {
                    lines.facs(machine.memory(fadt.facs, 8), fadt.facs);
                    match acpi::table_at(machine, fadt.dsdt) {
                        Some(dsdt) => lines.table(&dsdt),
                        None => lines.line(format_args!("  no DSDT at {:#x}", fadt.dsdt)),
                    }
                }
            }
            None => lines.line(format_args!("  no table at {address:#x}")),
        }
    }
    if let Some(madt) = root.table(machine, "APIC") {
        let (mut enabled, mut listed) = (0_u32, 0_u32);
        acpi::for_each_cpu(&madt, |_, is_enabled| {
            listed += 1;
            enabled += u32::from(is_enabled);
        });
        lines.line(format_args!("cpus          {enabled} enabled of {listed} in the MADT"));
    }
    let _ = machine.write_str(lines.text());
}

/// Says whether the PM timer runs: it must count at least once while we wait.
fn tell_timer(started: &Started, machine: &mut impl Machine) {
    let port = fadt(started, machine).map_or(0, |fadt| fadt.pm_timer);
    if port == 0 {
        let _ = writeln!(machine, "timer         no PM timer");
        return;
    }
    let first = machine.in32(port);
    let runs = (0..1000).any(|_| machine.in32(port) != first);
    let _ = writeln!(
        machine,
        "timer         PM timer at port {port:#x} {}",
        if runs { "runs" } else { "stands still" },
    );
}

/// Lists the functions on PCI bus 0.
///
/// # Source
/// PCI Local Bus Specification 3.0 §3.2.2.3.2, "Software Generation of Configuration
/// Transactions".
fn tell_pci(machine: &mut impl Machine) {
    const ADDRESS: u16 = 0xCF8;
    const DATA: u16 = 0xCFC;
    let mut found = 0;
    for device in 0..32 {
        for function in 0..8 {
            let at = 0x8000_0000 | device << 11 | function << 8;
            machine.out32(ADDRESS, at);
            let id = machine.in32(DATA);
            if id & 0xFFFF == 0xFFFF || id == 0 {
                if function == 0 {
                    break;
                }
                continue;
            }
            machine.out32(ADDRESS, at | 8);
            let class = machine.in32(DATA) >> 8;
            let (vendor, product) = (id & 0xFFFF, id >> 16);
            let _ = writeln!(
                machine,
                "pci           00:{device:02x}.{function} {vendor:04x}:{product:04x} class {class:06x}"
            );
            found += 1;
        }
    }
    if found == 0 {
        let _ = writeln!(machine, "pci           no devices");
    }
}

/// Resets the machine by the next of the ports that `list` names, if one is left.
///
/// How many are done stands in the clock's alarm seconds, which are the guest's to use and survive
/// a reset.
fn reset(list: &[u8; 1024], machine: &mut impl Machine) {
    const CMOS_INDEX: u16 = 0x70;
    const CMOS_DATA: u16 = 0x71;
    const ALARM_SECONDS: u8 = 1;
    machine.out8(CMOS_INDEX, ALARM_SECONDS);
    let done = machine.in8(CMOS_DATA);
    let list = list.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = list.split(|byte| *byte == b',').nth(usize::from(done)).unwrap_or_default();
    let (port, value) = match name {
        b"cf9" => (0xCF9, 0x06),
        b"64" => (0x64, 0xFE),
        b"92" => (0x92, 0x03),
        _ => return,
    };
    let _ = writeln!(machine, "reset         by port {port:#x}");
    machine.out8(CMOS_DATA, done + 1);
    if port == 0xCF9 {
        machine.out8(port, 0x02);
    }
    machine.out8(port, value);
}

fn power_off(started: &Started, machine: &mut impl Machine) -> Result<(), &'static str> {
    let fadt = fadt(started, machine).ok_or("no FADT")?;
    if fadt.pm1a_control == 0 {
        return Err("the FADT names no PM1a control port");
    }
    let dsdt = acpi::table_at(machine, fadt.dsdt).ok_or("no DSDT")?;
    let sleep_type = acpi::sleep_type_s5(&dsdt).ok_or("no \\_S5 in the DSDT")?;
    let port = fadt.pm1a_control;
    let _ = writeln!(machine, "power off     PM1a control at port {port:#x}, type {sleep_type}");
    machine.out16(port, PM1_SLEEP_ENABLE | u16::from(sleep_type & 7) << 10);
    Err("still running after SLP_EN")
}

fn fadt(started: &Started, machine: &impl Machine) -> Option<Fadt> {
    let table = Root::find(machine, started.rsdp)?.table(machine, "FACP")?;
    Fadt::read(&table)
}

/// Returns what follows `name` in the word of the command line that begins so.
fn word<'l>(command_line: &'l str, name: &str) -> Option<&'l str> {
    command_line.split_ascii_whitespace().find_map(|word| word.strip_prefix(name))
}

fn verdict(is_right: bool) -> &'static str {
    if is_right { "ok" } else { "WRONG" }
}

/// The sum that the host can compute too: Fletcher's, over bytes.
fn fletcher(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((0_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65535;
        (low, (high + low) % 65535)
    });
    high << 16 | low
}

/// Bytes that print as text, up to the first zero.
struct Text<'a>(&'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.split(|byte| *byte == 0).next().unwrap_or_default();
        f.write_str(core::str::from_utf8(text).unwrap_or("(not UTF-8)"))
    }
}

/// Copies text out of the machine's memory, so that the machine can be written to.
fn copied(text: &str) -> [u8; 1024] {
    let mut bytes = [0; 1024];
    let mut size = text.len().min(bytes.len());
    while !text.is_char_boundary(size) {
        size -= 1;
    }
    bytes[..size].copy_from_slice(&text.as_bytes()[..size]);
    bytes
}

fn tell_smbios(machine: &mut impl Machine) {
    let Some(entry) = EntryPoint::find(machine) else {
        let _ = writeln!(machine, "smbios        no entry point");
        return;
    };
    let mut lines = Lines::default();
    lines.line(format_args!(
        "smbios        {} at {:#x}, version {}.{}, checksum {}",
        entry.anchor,
        entry.address,
        entry.version.0,
        entry.version.1,
        verdict(entry.checksum_is_right),
    ));
    lines.line(format_args!(
        "  {} structures in {} bytes, end {}",
        entry.structures().count(),
        entry.table.map_or(0, <[u8]>::len),
        verdict(entry.is_whole()),
    ));
    if let Some((manufacturer, product)) = entry.system() {
        lines.line(format_args!("  system {manufacturer}, {product}"));
    }
    let _ = machine.write_str(lines.text());
}

/// Lines that are collected while the machine's memory is borrowed.
struct Lines {
    bytes: [u8; 4096],
    size: usize,
}

impl Default for Lines {
    fn default() -> Self {
        Self { bytes: [0; 4096], size: 0 }
    }
}

impl Lines {
    fn line(&mut self, line: fmt::Arguments<'_>) {
        let _ = fmt::Write::write_fmt(self, format_args!("{line}\n"));
    }

    fn table(&mut self, table: &Table<'_>) {
        let Table { address, bytes } = table;
        self.line(format_args!(
            "  {} at {address:#x}, {} bytes, revision {}, {}, checksum {}",
            table.signature(),
            bytes.len(),
            table.revision(),
            table.oem(),
            verdict(table.checksum_is_right()),
        ));
    }

    /// The FACS has no checksum.
    fn facs(&mut self, bytes: Option<&[u8]>, address: u64) {
        match bytes.and_then(|bytes| Some((bytes.get(..4)?, bytes.get(4..)?.first_chunk()?))) {
            Some((b"FACS", size)) => {
                let size = u32::from_le_bytes(*size);
                self.line(format_args!("  FACS at {address:#x}, {size} bytes"));
            }
            _ => self.line(format_args!("  no FACS at {address:#x}")),
        }
    }

    fn text(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.size]).unwrap_or_default()
    }
}

impl fmt::Write for Lines {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.size + text.len();
        let room = self.bytes.get_mut(self.size..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.size = end;
        Ok(())
    }
}
