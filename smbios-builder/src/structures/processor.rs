//! Processors and their caches.

use alloc::string::String;

use super::{Computed, describe};
use crate::spec::{Type4Processor, Type7Cache};
use crate::{
    Associativity, CacheConfiguration, CacheErrorCorrection, CacheMode, CacheType, Encoder, Error,
    ProcessorCharacteristics, ProcessorFamily, ProcessorStatus, ProcessorType, ProcessorUpgrade,
    Ref, SramType, Structure, Version,
};

describe! {
    /// A processor in its socket, type 4.
    ///
    /// # Source
    /// DSP0134 3.7, "Processor Information (Type 4)".
    #[derive(Default)]
    Processor: Type4Processor, PROCESSOR, since (2, 0) {
        /// The socket's name.
        socket: String,
        /// What it is for.
        processor_type: ProcessorType,
        /// Who made it.
        manufacturer: String,
        /// On x86 EAX and EDX of CPUID leaf 1, EAX low.
        id: u64,
        /// Its version, which is often its brand string.
        version: String,
        /// Bit 7 set: the other bits are tenths of a volt; 0 if unknown.
        voltage: u8,
        /// The external clock in MHz; 0 if unknown.
        external_clock_mhz: u16,
        /// The highest clock that the system supports in MHz; 0 if unknown.
        max_speed_mhz: u16,
        /// The clock after boot in MHz; 0 if unknown.
        current_speed_mhz: u16,
        /// Whether it is there, and enabled.
        status: ProcessorStatus,
        /// What the socket is.
        upgrade: ProcessorUpgrade,
        /// Its first-level cache.
        l1_cache: Option<Ref<Cache>>,
        /// Its second-level cache.
        l2_cache: Option<Ref<Cache>>,
        /// Its third-level cache.
        l3_cache: Option<Ref<Cache>>,
        /// Its serial number.
        serial: String,
        /// Its owner's number for it.
        asset_tag: String,
        /// Its part number.
        part_number: String,
        /// What it can do.
        characteristics: ProcessorCharacteristics,
        /// How many threads are enabled, since version 3.6; 0 if unknown.
        thread_enabled: u16,
    }
    + {
        /// What family it is of.
        family: ProcessorFamily,
        /// How many cores it has; 0 if unknown.
        core_count: u16,
        /// How many cores are enabled; 0 if unknown.
        core_enabled: u16,
        /// How many threads it has; 0 if unknown.
        thread_count: u16,
    }

    /// A cache, type 7.
    ///
    /// # Source
    /// DSP0134 3.7, "Cache Information (Type 7)".
    #[derive(Default)]
    Cache: Type7Cache, CACHE, since (2, 0) {
        /// Its name.
        socket: String,
        /// Its level, whether it is enabled, and how it writes.
        configuration: CacheConfiguration,
        /// What SRAM it could have.
        supported_sram: SramType,
        /// What SRAM it has.
        current_sram: SramType,
        /// Its speed in nanoseconds; 0 if unknown.
        speed_ns: u8,
        /// How it detects errors.
        error_correction: CacheErrorCorrection,
        /// What it holds.
        cache_type: CacheType,
        /// In how many ways it is associative.
        associativity: Associativity,
    }
    + {
        /// Its size in bytes: a multiple of 1 KiB, or of 64 KiB from 32 MiB up.
        size_bytes: u64,
    }
}

impl Computed<Type4Processor> for Processor {
    fn complete(
        &self,
        layout: &mut Type4Processor,
        encoder: &mut Encoder<'_>,
    ) -> Result<(), Error> {
        let family = self.family.0;
        layout.family = u8::try_from(family).unwrap_or(0xFE);
        layout.family_2 = family.into();
        if layout.family == 0xFE {
            encoder.needs(Version::new(2, 6), u64::from(family))?;
        }
        for count in [self.core_count, self.core_enabled, self.thread_count] {
            if count >= 0xFF {
                encoder.needs(Version::V3_0, u64::from(count))?;
            }
        }
        // 255 in the field of one byte sends the reader to that of two.
        let byte = |count: u16| u8::try_from(count).unwrap_or(u8::MAX);
        layout.core_count = byte(self.core_count);
        layout.core_enabled = byte(self.core_enabled);
        layout.thread_count = byte(self.thread_count);
        layout.core_count_2 = self.core_count.into();
        layout.core_enabled_2 = self.core_enabled.into();
        layout.thread_count_2 = self.thread_count.into();
        Ok(())
    }

    fn restore(&mut self, layout: &Type4Processor, _: &Structure<'_>) {
        let family =
            if layout.family == 0xFE { layout.family_2.get() } else { layout.family.into() };
        self.family = ProcessorFamily(family);
        let wide = |byte: u8, word: u16| if byte == u8::MAX { word } else { u16::from(byte) };
        self.core_count = wide(layout.core_count, layout.core_count_2.get());
        self.core_enabled = wide(layout.core_enabled, layout.core_enabled_2.get());
        self.thread_count = wide(layout.thread_count, layout.thread_count_2.get());
    }
}

impl Cache {
    /// Describes an enabled write-back cache inside the processor, of a level from 1 to 8.
    #[must_use]
    pub fn new(level: u8, size_bytes: u64) -> Self {
        let level = level.clamp(1, 8);
        Self {
            socket: alloc::format!("L{level}"),
            configuration: CacheConfiguration::internal(level, CacheMode::WRITE_BACK),
            supported_sram: SramType::SYNCHRONOUS,
            current_sram: SramType::SYNCHRONOUS,
            size_bytes,
            ..Self::default()
        }
    }
}

/// Makes the fields of one and of two words: units of 1 KiB while they fit, then of 64 KiB.
fn cache_size(size_bytes: u64, encoder: &Encoder<'_>) -> Result<(u16, u32), Error> {
    let kind = encoder.kind;
    let kib = size_bytes >> 10;
    let unit_bytes = if kib <= 0x7FFF { 1 << 10 } else { 64 << 10 };
    if !size_bytes.is_multiple_of(unit_bytes) {
        return Err(Error::Granularity { kind, size_bytes, unit_bytes });
    }
    if unit_bytes == 1 << 10 {
        let kib = u16::try_from(kib).unwrap_or(u16::MAX);
        return Ok((kib, kib.into()));
    }
    let blocks = size_bytes / unit_bytes;
    let too_large = Error::ValueTooLarge { kind, value: size_bytes, max: 0x7FFF_FFFF << 16 };
    let word_2 = u32::try_from(blocks).ok().filter(|blocks| blocks >> 31 == 0).ok_or(too_large)?;
    match u16::try_from(blocks).ok().filter(|blocks| blocks >> 15 == 0) {
        Some(blocks) => Ok((1 << 15 | blocks, 1 << 31 | word_2)),
        None => {
            encoder.needs(Version::new(3, 1), size_bytes)?;
            Ok((u16::MAX, 1 << 31 | word_2))
        }
    }
}

impl Computed<Type7Cache> for Cache {
    fn complete(&self, layout: &mut Type7Cache, encoder: &mut Encoder<'_>) -> Result<(), Error> {
        let (word, word_2) = cache_size(self.size_bytes, encoder)?;
        layout.maximum_size = word.into();
        layout.installed_size = word.into();
        layout.maximum_size_2 = word_2.into();
        layout.installed_size_2 = word_2.into();
        Ok(())
    }

    fn restore(&mut self, layout: &Type7Cache, _: &Structure<'_>) {
        let unit = |large: bool| if large { 16 } else { 10 };
        let word = layout.installed_size.get();
        let word_2 = layout.installed_size_2.get();
        self.size_bytes = if word == u16::MAX {
            u64::from(word_2 & 0x7FFF_FFFF) << unit(word_2 >> 31 == 1)
        } else {
            u64::from(word & 0x7FFF) << unit(word >> 15 == 1)
        };
    }
}
