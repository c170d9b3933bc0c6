//! A start in the making: what every protocol places in the same way.

use alloc::vec::Vec;

use boot_plan::{Layout, Placement, Request};
use guest_state::{Gpa, GpaRange, PageSize};

use crate::elf::Segment;
use crate::{Boot, Error, Image, Relocation};

/// Placements so far, and the layout that has their ranges.
pub(crate) struct Draft<'a> {
    pub(crate) boot: Boot<'a>,
    pub(crate) layout: Layout,
    pub(crate) placements: Vec<Placement<'a>>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(boot: Boot<'a>, layout: Layout) -> Result<Self, Error> {
        if boot.initrd.is_some_and(|initrd| initrd.bytes.is_empty()) {
            return Err(Error::EmptyInitrd);
        }
        if let Some(index) = boot.modules.iter().position(|one| one.image.bytes.is_empty()) {
            return Err(Error::EmptyModule { index });
        }
        let lines = boot.modules.iter().map(|module| module.command_line);
        for line in lines.chain([boot.command_line]) {
            if let Some(at) = line.iter().position(|&byte| byte == 0) {
                return Err(Error::CommandLineZero { at });
            }
        }
        Ok(Self { boot, layout, placements: Vec::new() })
    }

    pub(crate) fn finish(self) -> (Layout, Vec<Placement<'a>>) {
        (self.layout, self.placements)
    }

    /// Places an image where it says, or where it may be moved to; returns where its entry is then.
    pub(crate) fn place_image(
        &mut self,
        segments: &[Segment<'a>],
        entry: Gpa,
        relocation: Option<&Relocation>,
    ) -> Result<Gpa, Error> {
        let movable = relocation.filter(|relocation| relocation.side.is_some());
        if movable.is_none() {
            let before = self.layout.clone();
            match self.claim_segments(segments) {
                Ok(()) => {
                    self.put_segments(segments);
                    return Ok(entry);
                }
                Err(error) if relocation.is_none() => return Err(error),
                Err(_) => self.layout = before,
            }
        }
        let (Some(relocation), [first, .., last] | [first @ last]) = (relocation, segments) else {
            return Ok(entry);
        };
        let start = first.range.start();
        let size_bytes = last.range.end().offset_from(start).unwrap_or(0);
        let place = self.layout.place("kernel", relocation.request(size_bytes))?;
        // All of the image lies at or above its start, and all of the place is below 2^64.
        let moved = |address: Gpa| {
            let offset = address.offset_from(start);
            offset.and_then(|offset| place.start().checked_add(offset)).unwrap_or(place.end())
        };
        let segments: Vec<_> = segments
            .iter()
            .filter_map(|segment| {
                let range = segment.range;
                let range = GpaRange::new(moved(range.start()), range.size_bytes())?;
                Some(Segment { range, ..*segment })
            })
            .collect();
        self.put_segments(&segments);
        Ok(moved(entry))
    }

    fn claim_segments(&mut self, segments: &[Segment<'a>]) -> Result<(), Error> {
        for segment in segments {
            self.layout.claim("kernel", segment.range)?;
        }
        // What alignment leaves between two segments is the kernel's too: Linux takes it as RAM.
        for pair in segments.windows(2) {
            let gap = GpaRange::from_bounds(pair[0].range.end(), pair[1].range.start());
            if let Some(gap) = gap.filter(|gap| gap.size_bytes() < PageSize::Size2M.bytes()) {
                // Where it is no RAM, or is taken, there is nothing to keep others out of.
                let _ = self.layout.claim("kernel", gap);
            }
        }
        Ok(())
    }

    /// Places segments, with zeros where the file has no bytes for them.
    fn put_segments(&mut self, segments: &[Segment<'a>]) {
        for segment in segments {
            if !segment.bytes.is_empty() {
                let contents = self.boot.kernel.contents(segment.offset, segment.bytes);
                let placement = Placement::new("kernel", segment.range.start(), contents);
                self.placements.push(placement);
            }
            let (start, zeros) = segment.zeros();
            if zeros > 0 {
                self.placements.push(Placement::zeros("kernel bss", start, zeros));
            }
        }
    }

    /// Places the initrd, if there is one, on the highest free pages of `within`.
    pub(crate) fn place_initrd(&mut self, within: GpaRange) -> Result<Option<GpaRange>, Error> {
        self.boot.initrd.map(|initrd| self.place_file("initrd", initrd, within)).transpose()
    }

    /// Places a file on the highest free pages of `within`.
    pub(crate) fn place_file(
        &mut self,
        tag: &'static str,
        file: Image<'a>,
        within: GpaRange,
    ) -> Result<GpaRange, Error> {
        let request = Request::pages(file.bytes.len() as u64).within(within).highest();
        let range = self.layout.place(tag, request)?;
        let contents = file.contents(0, file.bytes);
        self.placements.push(Placement::new(tag, range.start(), contents));
        Ok(range)
    }

    /// Takes the lowest free pages below 4 GiB, for bytes that hold their own addresses.
    pub(crate) fn claim_pages(&mut self, tag: &'static str, size: u64) -> Result<Gpa, Error> {
        Ok(self.layout.place(tag, Request::pages(size))?.start())
    }

    /// Places bytes on pages that were claimed.
    pub(crate) fn put(&mut self, tag: &'static str, at: Gpa, bytes: Vec<u8>) {
        self.placements.push(Placement::bytes(tag, at, bytes));
    }

    /// Places a command line with a zero byte behind it.
    pub(crate) fn place_command_line(
        &mut self,
        tag: &'static str,
        line: &[u8],
    ) -> Result<Gpa, Error> {
        self.place_bytes(tag, [line, b"\0"].concat())
    }

    /// Places bytes on the lowest free pages below 4 GiB.
    pub(crate) fn place_bytes(&mut self, tag: &'static str, bytes: Vec<u8>) -> Result<Gpa, Error> {
        let at = self.claim_pages(tag, bytes.len() as u64)?;
        self.put(tag, at, bytes);
        Ok(at)
    }
}

/// Makes a count or size fit a field of 32 bits.
pub(crate) fn count(what: &'static str, length: usize) -> Result<u32, Error> {
    let value = length as u64;
    u32::try_from(length).map_err(|_| Error::TooLarge { what, value, bits: 32 })
}
