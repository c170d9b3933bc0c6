//! bzImage: setup code with a header, then a kernel that unpacks itself.

use alloc::vec;

use boot_plan::{Placement, Request};
use guest_state::{Gpa, GpaRange};

use super::{Entry, Placed, SetupHeader};
use crate::draft::Draft;
use crate::file::part;
use crate::long_mode::MOST_MAPPED_BYTES;
use crate::{Error, Relocation, Way};

/// A bzImage whose parts lie within the file.
#[derive(Debug)]
pub(crate) struct BzImage<'a> {
    pub(super) file: &'a [u8],
    pub(super) header: SetupHeader,
    /// Where the kernel proper begins in the file.
    pub(super) offset: u64,
    /// The kernel proper, without what follows it (a signature, say).
    pub(super) kernel: &'a [u8],
}

/// Where a kernel goes that prefers no address.
const DEFAULT_ADDRESS: u64 = 0x10_0000;
/// How many times its own length a kernel takes that does not say: it unpacks itself in place.
const UNPACKED_TIMES: u64 = 3;

impl<'a> BzImage<'a> {
    pub(crate) fn is_one(file: &[u8]) -> bool {
        SetupHeader::is_in(file)
    }

    pub(crate) fn parse(file: &'a [u8]) -> Result<Self, Error> {
        let header = SetupHeader::read(file)?;
        let flag = header.boot_flag.get();
        if flag != SetupHeader::BOOT_FLAG {
            return Err(Error::BootFlag { flag });
        }
        // Of a header that ends before its version, that would be 0.
        header.check_length()?;
        if !header.has(0x0200) {
            let version = header.version.get();
            return Err(Error::BootProtocolVersion { version, least: 0x0200 });
        }
        let sectors = match header.setup_sectors {
            0 => 4,
            sectors => u64::from(sectors),
        };
        let offset = (sectors + 1) * 512;
        let rest_bytes = (file.len() as u64).saturating_sub(offset);
        let declared_bytes = if header.has(0x0204) {
            u64::from(header.system_paragraphs.get()) * 16
        } else {
            rest_bytes
        };
        // The last paragraph need not be whole.
        let kernel_bytes = if declared_bytes.saturating_sub(rest_bytes) < 16 {
            declared_bytes.min(rest_bytes)
        } else {
            declared_bytes
        };
        let kernel = part(file, "kernel ends", offset, kernel_bytes)?;
        Ok(Self { file, header, offset, kernel })
    }

    /// Checks that there is such an entry and returns the memory that the kernel would like.
    fn preferred_range(&self, entry: Entry) -> Result<GpaRange, Error> {
        let header = &self.header;
        let kernel_bytes = self.kernel.len() as u64;
        if entry == Entry::Bits64 {
            if !header.has(0x020C) {
                let version = header.version.get();
                return Err(Error::BootProtocolVersion { version, least: 0x020C });
            }
            if header.extended_flags() & SetupHeader::KERNEL_64 == 0 {
                return Err(Error::No64BitEntry);
            }
        }
        if header.load_flags & SetupHeader::LOADED_HIGH == 0 {
            return Err(Error::NotLoadedHigh);
        }
        if kernel_bytes <= entry.offset() {
            return Err(Error::KernelTooShort { kernel_bytes, entry: entry.offset() });
        }
        if self.is_relocatable() && !header.kernel_alignment.get().is_power_of_two() {
            return Err(Error::KernelAlignment { alignment: header.kernel_alignment.get() });
        }
        let (address, init_bytes) = self.preference();
        if init_bytes < kernel_bytes {
            return Err(Error::InitSize { init_bytes, kernel_bytes });
        }
        let range = GpaRange::new(Gpa::new(address), init_bytes)
            .ok_or(Error::PreferredAddress { address, init_bytes })?;
        if entry == Entry::Bits32 && u32::try_from(address).is_err() {
            return Err(Error::EntryAbove4G { entry: range.start() });
        }
        Ok(range)
    }

    /// Returns the address that the kernel would like, and how much memory it takes from there on
    /// before it has read its memory map.
    pub(super) fn preference(&self) -> (u64, u64) {
        let header = &self.header;
        if !header.has(0x020A) {
            return (DEFAULT_ADDRESS, (self.kernel.len() as u64).saturating_mul(UNPACKED_TIMES));
        }
        let address = match header.preferred_address.get() {
            0 => DEFAULT_ADDRESS,
            address => address,
        };
        (address, header.init_bytes.get().into())
    }

    pub(super) fn is_relocatable(&self) -> bool {
        self.header.has(0x0205) && self.header.relocatable != 0
    }

    /// Returns the alignments that will do, the best first.
    fn alignments(&self) -> impl Iterator<Item = u64> {
        let best = u64::from(self.header.kernel_alignment.get()).max(0x1000);
        let least = match self.header.least_alignment {
            shift @ 1..=31 if self.header.has(0x020A) => (1 << shift).clamp(0x1000, best),
            _ => best,
        };
        core::iter::successors(Some(best), |&alignment| Some(alignment / 2))
            .take_while(move |&alignment| alignment >= least)
    }

    /// Returns where the kernel may go. Never below the preferred address: from there it would
    /// unpack itself to that nevertheless.
    fn room(&self, entry: Entry, preferred: GpaRange) -> Option<GpaRange> {
        let above_4g = self.header.extended_flags() & SetupHeader::ABOVE_4G != 0;
        let end = if entry == Entry::Bits64 && above_4g { MOST_MAPPED_BYTES } else { 1 << 32 };
        GpaRange::from_bounds(preferred.start(), Gpa::new(end)).filter(|_| self.is_relocatable())
    }

    /// Takes the memory that the kernel would like, or if that is not to be had, any above it.
    /// Returns it with the alignment that it has.
    fn claim(&self, entry: Entry, draft: &mut Draft<'_>) -> Result<(GpaRange, Option<u64>), Error> {
        let preferred = self.preferred_range(entry)?;
        let refused = match draft.layout.claim("kernel", preferred) {
            Ok(()) => return Ok((preferred, None)),
            Err(refused) => refused,
        };
        let Some(room) = self.room(entry, preferred) else {
            return Err(refused.into());
        };
        let request = Request::pages(preferred.size_bytes()).within(room);
        let mut first = None;
        for alignment in self.alignments() {
            match draft.layout.place("kernel", request.aligned(alignment)) {
                Ok(range) => return Ok((range, Some(alignment))),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or(refused).into())
    }
}

pub(super) fn way(image: &BzImage<'_>, entry: Entry) -> Result<Way, Error> {
    let range = image.preferred_range(entry)?;
    let alignment = u64::from(image.header.kernel_alignment.get());
    let relocation = |within| Relocation { alignment, within, side: None };
    Ok(Way {
        protocol: entry.protocol(),
        entry: entry_in(range, entry),
        ranges: vec![range],
        relocation: image.room(entry, range).map(relocation),
    })
}

/// Places the kernel proper; what it unpacks to is claimed with it.
pub(super) fn place<'a>(
    image: &BzImage<'a>,
    entry: Entry,
    draft: &mut Draft<'a>,
) -> Result<Placed, Error> {
    let (range, alignment) = image.claim(entry, draft)?;
    let contents = draft.boot.kernel.contents(image.offset, image.kernel);
    draft.placements.push(Placement::new("kernel", range.start(), contents));
    let mut header = image.header;
    // A kernel is told if its alignment is less than it would like.
    if let Some(alignment) = alignment.and_then(|alignment| u32::try_from(alignment).ok()) {
        header.kernel_alignment = header.kernel_alignment.get().min(alignment).into();
    }
    Ok(Placed {
        entry: entry_in(range, entry),
        end: range.end(),
        header,
        setup_type_max: image.setup_type_max(),
    })
}

/// Returns the entry of a kernel at `range`, which is longer than the offset.
fn entry_in(range: GpaRange, entry: Entry) -> Gpa {
    range.start().checked_add(entry.offset()).unwrap_or(range.end())
}
