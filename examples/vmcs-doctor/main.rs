//! Says which rule of a VM entry a VMCS breaks: `cargo run --example vmcs-doctor -- --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    vmcs_doctor::main()
}
