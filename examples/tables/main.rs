//! Writes and prints the tables of a machine: `cargo run --example tables -- --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tables::main()
}
