//! Port accesses and DMA descriptors for the configuration device, from bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hvkit_fuzz::fw_cfg_dma(data));
