//! The bare-metal hypervisor in Bochs: `cargo run --release --example bare-metal -- --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bare_metal::main()
}
