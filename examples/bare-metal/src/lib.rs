//! The launcher: `cargo run --release --example bare-metal -- --help`.
