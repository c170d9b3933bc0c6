//! Says every way to start a kernel image: `cargo run --example identify -- --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    identify::main()
}
