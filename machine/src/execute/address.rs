//! From an instruction's operand to physical memory: effective address, segment, pages.

use guest_state::{
    Access, AccessKind, Gpa, GuestMemory, Gva, Privilege, Segment, WalkError, cr0, rflags,
    translate, translate_and_mark,
};
use iced_x86::{Instruction, Register};

use super::registers::{Gpr, Width};
use super::{Exception, ExecuteError, Executor, MemoryBus, Mode, Stop};

/// The least unit of translation: what crosses its end may be anywhere.
pub(super) const PAGE_BYTES: u64 = 0x1000;

/// An effective address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effective {
    pub(super) segment: Register,
    pub(super) offset: u64,
    /// How wide the offset is: it wraps there.
    pub(super) width: Width,
}

impl Effective {
    pub(super) const fn plus(self, bytes: u64) -> Self {
        Self { offset: self.offset.wrapping_add(bytes) & self.width.mask(), ..self }
    }
}

/// Where an operand lies, checked and ready to be accessed: in one page or in two.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    width: Width,
    first: Gpa,
    /// Where it goes on, and after how many bytes.
    second: Option<(Gpa, usize)>,
}

impl<M: GuestMemory, B: MemoryBus> Executor<'_, M, B> {
    /// The effective address of a memory operand that has the form base, index, displacement.
    pub(super) fn effective(&self, instruction: &Instruction) -> Effective {
        let registers = &self.cpu.general;
        let base = instruction.memory_base();
        let [base_gpr, index] = [base, instruction.memory_index()].map(Gpr::decode);
        let width = match (base, base_gpr.or(index)) {
            (Register::RIP, _) => Width::Bits64,
            (Register::EIP, _) => Width::Bits32,
            (_, Some(gpr)) => gpr.width(),
            _ => match instruction.memory_displ_size() {
                8 => Width::Bits64,
                4 => Width::Bits32,
                _ => Width::Bits16,
            },
        };
        let read = |gpr: Option<Gpr>| gpr.map_or(0, |gpr| gpr.read(registers));
        let scaled = read(index).wrapping_mul(u64::from(instruction.memory_index_scale()));
        // Relative to RIP, the decoder's displacement is the address already.
        let offset = instruction.memory_displacement64().wrapping_add(read(base_gpr));
        let segment = match instruction.memory_segment() {
            named @ (Register::FS | Register::GS) => named,
            // 64-bit mode ignores prefixes for the others.
            _ if self.mode == Mode::Long && base_gpr.is_some_and(Gpr::is_of_stack) => Register::SS,
            _ if self.mode == Mode::Long => Register::DS,
            named => named,
        };
        Effective { segment, offset: 0, width }.plus(offset.wrapping_add(scaled))
    }

    /// Checks an access of `width` at an effective address, through segment and pages.
    pub(super) fn resolve(
        &self,
        at: Effective,
        width: Width,
        kind: AccessKind,
    ) -> Result<Span, Stop> {
        let stack = at.segment == Register::SS;
        let first = self.linear(at, width, kind)?;
        let bytes = width.bytes() as u64;
        let in_page = PAGE_BYTES - first.as_u64() % PAGE_BYTES;
        let fault = |stop| if stack { stack_fault(stop) } else { stop };
        if bytes <= in_page {
            self.check_alignment(&[first], bytes, kind)?;
            let first = self.translate_marked(first, kind).map_err(fault)?;
            return Ok(Span { width, first, second: None });
        }
        let second = self.wrap(first.as_u64().wrapping_add(in_page));
        // Both are checked before either is marked.
        for page in [first, second] {
            self.translate_only(page, kind).map_err(fault)?;
        }
        self.check_alignment(&[first, second], bytes, kind)?;
        let first = self.translate_marked(first, kind).map_err(fault)?;
        let second = self.translate_marked(second, kind).map_err(fault)?;
        let split = usize::try_from(in_page).unwrap_or(0);
        Ok(Span { width, first, second: Some((second, split)) })
    }

    pub(super) fn read(&mut self, span: Span) -> u64 {
        let mut bytes = [0; 8];
        let (first, second) = split(&mut bytes, span);
        self.bus.read(span.first, first);
        if let Some((gpa, _)) = span.second {
            self.bus.read(gpa, second);
        }
        u64::from_le_bytes(bytes)
    }

    pub(super) fn write(&mut self, span: Span, value: u64) {
        let mut bytes = value.to_le_bytes();
        let (first, second) = split(&mut bytes, span);
        self.bus.write(span.first, first);
        if let Some((gpa, _)) = span.second {
            self.bus.write(gpa, second);
        }
    }

    /// Translates an address and sets the accessed and dirty bits on the way.
    pub(super) fn translate_marked(&self, at: Gva, kind: AccessKind) -> Result<Gpa, Stop> {
        translate_and_mark(self.memory, &self.paging, at, self.access(kind))
            .map(|translation| translation.gpa)
            .map_err(|error| stop(at, error))
    }

    fn translate_only(&self, at: Gva, kind: AccessKind) -> Result<(), Stop> {
        translate(self.memory, &self.paging, at, self.access(kind))
            .map(|_| ())
            .map_err(|error| stop(at, error))
    }

    const fn access(&self, kind: AccessKind) -> Access {
        let privilege = if self.cpl() == 3 { Privilege::User } else { Privilege::Supervisor };
        Access { kind, privilege }
    }

    /// Alignment counts for the user alone, and page faults come first.
    fn check_alignment(&self, pages: &[Gva], bytes: u64, kind: AccessKind) -> Result<(), Stop> {
        let enabled =
            self.cpl() == 3 && self.cpu.cr0 & cr0::AM != 0 && self.cpu.rflags & rflags::AC != 0;
        match pages {
            [first, ..] if enabled && !first.is_aligned(bytes) => {
                pages.iter().try_for_each(|page| self.translate_only(*page, kind))?;
                Err(Exception::AlignmentCheck.into())
            }
            _ => Ok(()),
        }
    }

    /// Applies the segment.
    fn linear(&self, at: Effective, width: Width, kind: AccessKind) -> Result<Gva, Stop> {
        let segment = self.segment(at.segment);
        if self.mode == Mode::Long {
            let base = match at.segment {
                Register::FS | Register::GS => segment.base,
                _ => 0,
            };
            return Ok(Gva::new(base.wrapping_add(at.offset)));
        }
        let last = at.offset.saturating_add(width.bytes() as u64 - 1);
        let rights_hold = match self.mode {
            Mode::Protected => allows(segment, kind),
            _ => true,
        };
        if !rights_hold || !within_limit(segment, self.mode, at.offset, last) {
            let stack = at.segment == Register::SS;
            return Err(if stack {
                Exception::StackFault.into()
            } else {
                Exception::GeneralProtection.into()
            });
        }
        Ok(self.wrap(segment.base.wrapping_add(at.offset)))
    }

    const fn wrap(&self, linear: u64) -> Gva {
        match self.mode {
            Mode::Long => Gva::new(linear),
            _ => Gva::new(linear & 0xFFFF_FFFF),
        }
    }

    pub(super) const fn segment(&self, register: Register) -> &Segment {
        match register {
            Register::ES => &self.cpu.es,
            Register::CS => &self.cpu.cs,
            Register::SS => &self.cpu.ss,
            Register::FS => &self.cpu.fs,
            Register::GS => &self.cpu.gs,
            _ => &self.cpu.ds,
        }
    }
}

/// Tells whether a segment of protected mode can be read or written.
const fn allows(segment: &Segment, kind: AccessKind) -> bool {
    const CODE: u32 = 1 << 3;
    const READABLE_OR_WRITABLE: u32 = 1 << 1;
    let access = segment.access;
    let code = access.segment_type() & CODE != 0;
    let second = access.segment_type() & READABLE_OR_WRITABLE != 0;
    let right = match kind {
        AccessKind::Read => !code || second,
        AccessKind::Write => !code && second,
        AccessKind::Execute => code,
    };
    right && access.is_code_or_data() && access.is_present() && !access.is_unusable()
}

const fn within_limit(segment: &Segment, mode: Mode, first: u64, last: u64) -> bool {
    const CODE_OR_DOWN: u32 = 0b1100;
    const DOWN: u32 = 0b0100;
    let limit = segment.limit as u64;
    let expands_down =
        matches!(mode, Mode::Protected) && segment.access.segment_type() & CODE_OR_DOWN == DOWN;
    if expands_down {
        let top = if segment.access.is_32bit() { 0xFFFF_FFFF } else { 0xFFFF };
        first > limit && last <= top
    } else {
        last <= limit
    }
}

fn split(bytes: &mut [u8; 8], span: Span) -> (&mut [u8], &mut [u8]) {
    let bytes = bytes.get_mut(..span.width.bytes()).unwrap_or_default();
    let at = span.second.map_or(bytes.len(), |(_, split)| split.min(bytes.len()));
    bytes.split_at_mut(at)
}

fn stop(address: Gva, error: WalkError) -> Stop {
    match error {
        WalkError::NonCanonical(_) => Exception::GeneralProtection.into(),
        WalkError::PageFault(fault) => Exception::PageFault(fault).into(),
        source => Stop::Error(ExecuteError::Translation { address, source }),
    }
}

/// Through the stack segment, an address that is not canonical is a stack fault.
const fn stack_fault(stop: Stop) -> Stop {
    match stop {
        Stop::Exception(Exception::GeneralProtection) => Stop::Exception(Exception::StackFault),
        other => other,
    }
}
