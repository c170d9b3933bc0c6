//! The bare-metal hypervisor in Bochs: `cargo run --release --example bare-metal -- --help`.

fn main() {}
