//! Descriptors and rings of a virtqueue, from bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hvkit_fuzz::virtio_queue(data));
