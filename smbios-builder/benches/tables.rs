//! Times building.
fn main() {}
