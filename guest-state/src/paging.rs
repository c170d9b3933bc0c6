//! The guest's own page tables: a walker for every paging mode.

use core::sync::atomic::Ordering;

use crate::{AccessError, Gpa, GuestMemory, Gva, PageSize, VcpuState, cr0, cr4, efer, rflags};

/// The registers that decide how linear addresses are translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "where a field is the register of its name")]
pub struct PagingState {
    pub cr0: u64,
    pub cr3: u64,
    pub cr4: u64,
    pub efer: u64,
    pub rflags: u64,
    pub pkru: u32,
    pub pkrs: u32,
    /// MAXPHYADDR, from CPUID leaf 8000_0008h: address bits above it are reserved.
    pub physical_bits: u32,
    /// Whether CPUID offers 1 GiB pages; without them their size bit is reserved.
    pub has_1g_pages: bool,
}

impl PagingState {
    /// Takes the registers from a CPU whose CPUID says `physical_bits` and offers 1 GiB pages.
    #[must_use]
    pub const fn new(state: &VcpuState, physical_bits: u32) -> Self {
        let [a, b, c, d, ..] = state.msrs.pkrs.to_le_bytes();
        Self {
            cr0: state.cr0,
            cr3: state.cr3,
            cr4: state.cr4,
            efer: state.efer,
            rflags: state.rflags,
            pkru: state.pkru,
            pkrs: u32::from_le_bytes([a, b, c, d]),
            physical_bits,
            has_1g_pages: true,
        }
    }
}

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessKind {
    /// It reads data.
    Read,
    /// It writes data.
    Write,
    /// It fetches an instruction.
    Execute,
}

/// With which right an access is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Privilege {
    /// CPL 3.
    User,
    /// CPL 0 to 2, by the program's own instruction.
    Supervisor,
    /// The CPU's own access to a system structure (GDT, TSS...), which RFLAGS.AC never lets past
    /// SMAP.
    ImplicitSupervisor,
}

/// An access that is to be translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// What it does.
    pub kind: AccessKind,
    /// With which right.
    pub privilege: Privilege,
}

impl Access {
    /// A read by the supervisor: what a debugger wants.
    pub const SUPERVISOR_READ: Self =
        Self { kind: AccessKind::Read, privilege: Privilege::Supervisor };
}

/// Where a linear address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The physical address of the byte.
    pub gpa: Gpa,
    /// How many bytes from there on, to the end of the page, the translation also holds for.
    pub contiguous_bytes: u64,
    /// Whether every level lets the user in.
    pub user: bool,
    /// Whether every level lets writes through.
    pub writable: bool,
    /// Whether some level forbids instruction fetches.
    pub execute_disabled: bool,
}

/// A page fault: the CPU would raise #PF with this error code and put the address into CR2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("page fault at {address}, error code {error_code:#x}")]
pub struct PageFault {
    /// The linear address.
    pub address: Gva,
    /// The error code: P 0, W/R 1, U/S 2, RSVD 3, I/D 4, PK 5.
    pub error_code: u32,
}

/// Why an address has no translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WalkError {
    /// The address is not canonical: #GP, or #SS through the stack.
    #[error("linear address {0} is not canonical")]
    NonCanonical(Gva),
    /// The tables forbid the access.
    #[error(transparent)]
    PageFault(#[from] PageFault),
    /// A table lies where the guest has no memory.
    #[error("page table not readable")]
    Table(#[source] AccessError),
}

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const EXECUTE_DISABLE: u64 = 1 << 63;
/// The address bits of an entry, before MAXPHYADDR cuts them.
const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;

const ERROR_PRESENT: u32 = 1 << 0;
const ERROR_WRITE: u32 = 1 << 1;
const ERROR_USER: u32 = 1 << 2;
const ERROR_RESERVED: u32 = 1 << 3;
const ERROR_FETCH: u32 = 1 << 4;
const ERROR_PROTECTION_KEY: u32 = 1 << 5;

/// Translates `address` as the CPU would, but leaves accessed and dirty bits as they are.
///
/// # Errors
/// [`WalkError::NonCanonical`], [`WalkError::PageFault`] as the CPU would raise them, and
/// [`WalkError::Table`] where a table lies outside the guest's memory.
///
/// # Source
/// Intel SDM Vol. 3A, "Paging". PDPTEs of PAE paging are read from memory, where a CPU uses the
/// copies that it made when CR3 was loaded.
pub fn translate(
    memory: &impl GuestMemory,
    state: &PagingState,
    address: Gva,
    access: Access,
) -> Result<Translation, WalkError> {
    let (translation, _) = walk(memory, state, address, access)?;
    Ok(translation)
}

/// Translates `address` and sets accessed and dirty bits atomically, as the CPU would.
///
/// # Errors
/// As [`translate`]; on an error no bit was set.
pub fn translate_and_mark(
    memory: &impl GuestMemory,
    state: &PagingState,
    address: Gva,
    access: Access,
) -> Result<Translation, WalkError> {
    loop {
        let (translation, path) = walk(memory, state, address, access)?;
        // Where an entry changed under us, the CPU would walk again, and so do we.
        if path.mark(memory, access)? {
            return Ok(translation);
        }
    }
}

/// The paging modes, by the shape of their tables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Legacy,
    Pae,
    FourLevel,
    FiveLevel,
}

/// What all levels say together.
#[derive(Clone, Copy)]
struct Rights {
    user: bool,
    writable: bool,
    execute_disabled: bool,
}

fn walk(
    memory: &impl GuestMemory,
    state: &PagingState,
    address: Gva,
    access: Access,
) -> Result<(Translation, Path), WalkError> {
    let long = state.efer & efer::LMA != 0;
    let linear = if long { address.as_u64() } else { address.as_u64() & 0xFFFF_FFFF };
    if state.cr0 & cr0::PG == 0 {
        let translation = Translation {
            gpa: Gpa::new(linear),
            contiguous_bytes: 0x1000 - linear % 0x1000,
            user: true,
            writable: true,
            execute_disabled: false,
        };
        return Ok((translation, Path::default()));
    }
    let mode = match (long, state.cr4 & cr4::LA57 != 0, state.cr4 & cr4::PAE != 0) {
        (true, true, _) => Mode::FiveLevel,
        (true, false, _) => Mode::FourLevel,
        (false, _, true) => Mode::Pae,
        (false, _, false) => Mode::Legacy,
    };
    let linear_bits = if mode == Mode::FiveLevel { 57 } else { 48 };
    if long && !address.is_canonical(linear_bits) {
        return Err(WalkError::NonCanonical(address));
    }

    let (top_level, index_bits, entry_bytes, root) = match mode {
        Mode::Legacy => (2, 10, 4, state.cr3 & 0xFFFF_F000),
        Mode::Pae => (3, 9, 8, state.cr3 & 0xFFFF_FFE0),
        Mode::FourLevel => (4, 9, 8, state.cr3 & ADDRESS & physical_mask(state)),
        Mode::FiveLevel => (5, 9, 8, state.cr3 & ADDRESS & physical_mask(state)),
    };
    let fault = |flags| page_fault(state, address, access, flags);
    let mut rights = Rights { user: true, writable: true, execute_disabled: false };
    let mut table = root;
    let mut path = Path { narrow: entry_bytes == 4, ..Path::default() };
    let mut level = top_level;
    loop {
        let shift = 12 + index_bits * (level - 1);
        // The PDPT of PAE paging has four entries, which the cut to 32 bits sees to.
        let index = linear >> shift & ((1 << index_bits) - 1);
        let at = Gpa::new(table + index * entry_bytes);
        let entry = load(memory, at, entry_bytes).map_err(WalkError::Table)?;
        if entry & PRESENT == 0 {
            return Err(fault(0).into());
        }
        let leaf = level == 1 || (entry & LARGE != 0 && level_has_leaves(state, mode, level));
        if entry & reserved_bits(state, mode, level, leaf) != 0 {
            return Err(fault(ERROR_PRESENT | ERROR_RESERVED).into());
        }
        // PDPTEs of PAE paging have neither rights nor an accessed bit.
        if !(mode == Mode::Pae && level == 3) {
            rights.user &= entry & USER != 0;
            rights.writable &= entry & WRITABLE != 0;
            path.push(at, entry);
        }
        rights.execute_disabled |= mode != Mode::Legacy && entry & EXECUTE_DISABLE != 0;
        if !leaf {
            table = entry & ADDRESS & physical_mask(state);
            level -= 1;
            continue;
        }
        let in_page = (1_u64 << shift) - 1;
        if let Err(key) = check_rights(state, mode, access, rights, entry) {
            return Err(fault(ERROR_PRESENT | key).into());
        }
        let translation = Translation {
            gpa: Gpa::new(leaf_base(state, mode, entry, in_page) | (linear & in_page)),
            contiguous_bytes: in_page + 1 - (linear & in_page),
            user: rights.user,
            writable: rights.writable,
            execute_disabled: rights.execute_disabled,
        };
        return Ok((translation, path));
    }
}

const fn physical_mask(state: &PagingState) -> u64 {
    match 1_u64.checked_shl(state.physical_bits) {
        Some(top) => top - 1,
        None => u64::MAX,
    }
}

/// Tells whether an entry of this level can map a page by its size bit.
const fn level_has_leaves(state: &PagingState, mode: Mode, level: u32) -> bool {
    match (mode, level) {
        (Mode::Legacy, 2) => state.cr4 & cr4::PSE != 0,
        (Mode::Pae | Mode::FourLevel | Mode::FiveLevel, 2) => true,
        (Mode::FourLevel | Mode::FiveLevel, 3) => state.has_1g_pages,
        _ => false,
    }
}

/// The bits that must be zero in an entry.
const fn reserved_bits(state: &PagingState, mode: Mode, level: u32, leaf: bool) -> u64 {
    if matches!(mode, Mode::Legacy) {
        // PSE-36: bits 20:13 of a 4 MiB entry are address bits 39:32, as far as they exist.
        return if leaf && level == 2 {
            let high = physical_mask(state) >> 32 & 0xFF;
            1 << 21 | (!high & 0xFF) << 13
        } else {
            0
        };
    }
    let beyond = ADDRESS & !physical_mask(state);
    let no_execute = if state.efer & efer::NXE == 0 { EXECUTE_DISABLE } else { 0 };
    let by_level = match (mode, level, leaf) {
        (Mode::Pae, 3, _) => 0x1E6 | 0x7FF << 52,
        (_, 4 | 5, _) | (_, 3, false) => LARGE,
        (_, 3, true) => (PageSize::Size1G.bytes() - 1) & !0x1FFF,
        (_, 2, true) => (PageSize::Size2M.bytes() - 1) & !0x1FFF,
        _ => 0,
    };
    // Bits 62:52 are ignored in 64-bit paging and reserved in PAE paging.
    let upper = if matches!(mode, Mode::Pae) { 0x7FF << 52 } else { 0 };
    let pdpte_no_execute =
        if matches!(mode, Mode::Pae) && level == 3 { EXECUTE_DISABLE } else { no_execute };
    beyond | by_level | upper | pdpte_no_execute
}

const fn leaf_base(state: &PagingState, mode: Mode, entry: u64, in_page: u64) -> u64 {
    match (mode, in_page) {
        (Mode::Legacy, 0x3F_FFFF) => (entry & 0xFFC0_0000) | (entry >> 13 & 0xFF) << 32,
        _ => entry & ADDRESS & physical_mask(state) & !in_page,
    }
}

/// Applies the access rules; the error is what they add to the error code.
fn check_rights(
    state: &PagingState,
    mode: Mode,
    access: Access,
    rights: Rights,
    leaf: u64,
) -> Result<(), u32> {
    let write = access.kind == AccessKind::Write;
    let fetch = access.kind == AccessKind::Execute;
    let by_user = access.privilege == Privilege::User;
    let write_protect = by_user || state.cr0 & cr0::WP != 0;

    let smep = !by_user && rights.user && fetch && state.cr4 & cr4::SMEP != 0;
    let smap = !by_user
        && rights.user
        && !fetch
        && state.cr4 & cr4::SMAP != 0
        && (state.rflags & rflags::AC == 0 || access.privilege == Privilege::ImplicitSupervisor);
    if (by_user && !rights.user)
        || (write && !rights.writable && write_protect)
        || (fetch && rights.execute_disabled)
        || smep
        || smap
    {
        return Err(0);
    }

    let keys_enabled = state.cr4 & if rights.user { cr4::PKE } else { cr4::PKS } != 0;
    if keys_enabled && !fetch && matches!(mode, Mode::FourLevel | Mode::FiveLevel) {
        let key = leaf >> 59 & 0xF;
        let register = if rights.user { state.pkru } else { state.pkrs };
        let access_disabled = register >> (2 * key) & 1 != 0;
        let write_disabled = register >> (2 * key + 1) & 1 != 0;
        if access_disabled || (write && write_disabled && write_protect) {
            return Err(ERROR_PROTECTION_KEY);
        }
    }
    Ok(())
}

fn page_fault(state: &PagingState, address: Gva, access: Access, flags: u32) -> PageFault {
    let fetch_is_told =
        (state.cr4 & cr4::PAE != 0 && state.efer & efer::NXE != 0) || state.cr4 & cr4::SMEP != 0;
    let mut error_code = flags;
    if access.kind == AccessKind::Write {
        error_code |= ERROR_WRITE;
    }
    if access.kind == AccessKind::Execute && fetch_is_told {
        error_code |= ERROR_FETCH;
    }
    if access.privilege == Privilege::User {
        error_code |= ERROR_USER;
    }
    PageFault { address, error_code }
}

/// The entries of one walk, from the top down to the leaf.
#[derive(Default)]
struct Path {
    entries: [(Gpa, u64); 5],
    length: usize,
    /// Whether entries are of 4 bytes, not of 8.
    narrow: bool,
}

impl Path {
    fn push(&mut self, at: Gpa, entry: u64) {
        self.entries[self.length] = (at, entry);
        self.length += 1;
    }

    /// Sets A in every entry and D in the leaf of a write; false if an entry has changed.
    fn mark(&self, memory: &impl GuestMemory, access: Access) -> Result<bool, WalkError> {
        for (index, &(at, entry)) in self.entries[..self.length].iter().enumerate() {
            let dirty = index + 1 == self.length && access.kind == AccessKind::Write;
            let wanted = entry | ACCESSED | if dirty { DIRTY } else { 0 };
            if wanted != entry {
                let found = self.exchange(memory, at, entry, wanted).map_err(WalkError::Table)?;
                if found != entry {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn exchange(
        &self,
        memory: &impl GuestMemory,
        at: Gpa,
        old: u64,
        new: u64,
    ) -> Result<u64, AccessError> {
        if !self.narrow {
            return memory.compare_exchange_u64(at, old, new);
        }
        let low = |entry: u64| {
            let [a, b, c, d, ..] = entry.to_le_bytes();
            u32::from_le_bytes([a, b, c, d])
        };
        memory.compare_exchange_u32(at, low(old), low(new)).map(u64::from)
    }
}

fn load(memory: &impl GuestMemory, at: Gpa, entry_bytes: u64) -> Result<u64, AccessError> {
    if entry_bytes == 4 {
        memory.load_u32(at, Ordering::Acquire).map(u64::from)
    } else {
        memory.load_u64(at, Ordering::Acquire)
    }
}
