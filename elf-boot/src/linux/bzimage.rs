//! bzImage: setup code with a header, then a kernel that unpacks itself.

use alloc::vec;

use boot_plan::{Placement, Request};
use guest_state::{Gpa, GpaRange};

use super::{Placed, SetupHeader};
use crate::draft::Draft;
use crate::file::part;
use crate::{Error, Protocol, Way};

/// A bzImage whose parts lie within the file.
#[derive(Debug)]
pub(crate) struct BzImage<'a> {
    header: SetupHeader,
    /// Where the kernel proper begins in the file.
    offset: u64,
    /// The kernel proper, without what follows it (a signature, say).
    kernel: &'a [u8],
}

/// Where the 64-bit entry is in the kernel proper.
const ENTRY64_OFFSET: u64 = 0x200;
/// Where the last field ends that a start by the 64-bit entry reads.
const FIELDS_END: u64 = 0x264;
/// Where a kernel goes that prefers no address.
const DEFAULT_ADDRESS: u64 = 0x10_0000;

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
        let sectors = match header.setup_sectors {
            0 => 4,
            sectors => u64::from(sectors),
        };
        let offset = (sectors + 1) * 512;
        let rest_bytes = (file.len() as u64).saturating_sub(offset);
        let declared_bytes = match header.version.get() {
            ..0x0204 => rest_bytes,
            _ => u64::from(header.system_paragraphs.get()) * 16,
        };
        // The last paragraph need not be whole.
        let kernel_bytes = if declared_bytes.saturating_sub(rest_bytes) < 16 {
            declared_bytes.min(rest_bytes)
        } else {
            declared_bytes
        };
        let kernel = part(file, "kernel ends", offset, kernel_bytes)?;
        Ok(Self { header, offset, kernel })
    }

    /// Checks that there is a 64-bit entry and returns the memory that the kernel would like.
    fn preferred_range(&self) -> Result<GpaRange, Error> {
        let header = &self.header;
        let version = header.version.get();
        if version < 0x020C {
            return Err(Error::BootProtocolVersion { version, least: 0x020C });
        }
        if header.end() < FIELDS_END {
            return Err(Error::SetupHeaderShort { end: header.end(), needed_end: FIELDS_END });
        }
        if header.load_flags & SetupHeader::LOADED_HIGH == 0 {
            return Err(Error::NotLoadedHigh);
        }
        if header.extended_load_flags.get() & SetupHeader::KERNEL_64 == 0 {
            return Err(Error::No64BitEntry);
        }
        let (init_bytes, kernel_bytes) = (header.init_bytes.get(), self.kernel.len() as u64);
        if kernel_bytes <= ENTRY64_OFFSET {
            return Err(Error::KernelTooShort { kernel_bytes });
        }
        if u64::from(init_bytes) < kernel_bytes {
            return Err(Error::InitSize { init_bytes, kernel_bytes });
        }
        let alignment = header.kernel_alignment.get();
        if self.is_relocatable() && !alignment.is_power_of_two() {
            return Err(Error::KernelAlignment { alignment });
        }
        let address = match header.preferred_address.get() {
            0 => DEFAULT_ADDRESS,
            address => address,
        };
        GpaRange::new(Gpa::new(address), init_bytes.into())
            .ok_or(Error::PreferredAddress { address, init_bytes })
    }

    const fn is_relocatable(&self) -> bool {
        self.header.relocatable != 0
    }

    /// Takes the memory that the kernel would like, or if that is not to be had, any above it.
    ///
    /// Never below: there the kernel would unpack itself to its preferred address nevertheless.
    fn claim(&self, draft: &mut Draft<'_>) -> Result<GpaRange, Error> {
        let preferred = self.preferred_range()?;
        let refused = match draft.layout.claim("kernel", preferred) {
            Ok(()) => return Ok(preferred),
            Err(refused) => refused,
        };
        let above = GpaRange::from_bounds(preferred.start(), Gpa::new(1 << 32));
        match above.filter(|_| self.is_relocatable()) {
            Some(above) => {
                let pages = Request::pages(preferred.size_bytes());
                let alignment = self.header.kernel_alignment.get().into();
                let request = pages.aligned(pages.alignment.max(alignment)).within(above);
                Ok(draft.layout.place("kernel", request)?)
            }
            None => Err(refused.into()),
        }
    }
}

pub(super) fn way(image: &BzImage<'_>) -> Result<Way, Error> {
    let range = image.preferred_range()?;
    Ok(Way { protocol: Protocol::Linux64, entry: entry(range), ranges: vec![range] })
}

/// Places the kernel proper; what it unpacks to is claimed with it.
pub(super) fn place<'a>(image: &BzImage<'a>, draft: &mut Draft<'a>) -> Result<Placed, Error> {
    let range = image.claim(draft)?;
    let contents = draft.boot.kernel.contents(image.offset, image.kernel);
    draft.placements.push(Placement::new("kernel", range.start(), contents));
    Ok(Placed { entry: entry(range), end: range.end(), header: image.header })
}

/// Returns the 64-bit entry of a kernel at `range`, which is longer than the offset.
fn entry(range: GpaRange) -> Gpa {
    range.start().checked_add(ENTRY64_OFFSET).unwrap_or(range.end())
}
