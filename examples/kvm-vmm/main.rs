//! A virtual machine monitor on KVM: `cargo run --release --example kvm-vmm -- --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    kvm_vmm::main()
}
