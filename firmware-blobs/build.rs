//! With the feature `embed`, says where the image to embed is.

use std::env;

const VARIABLE: &str = "HVKIT_EMBED_FIRMWARE";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rustc-check-cfg=cfg(embedded)");
    if env::var_os("CARGO_FEATURE_EMBED").is_none() {
        return;
    }
    let Some(path) = env::var_os(VARIABLE) else { return };
    match std::path::absolute(&path) {
        Ok(path) if path.is_file() => {
            println!("cargo::rerun-if-changed={}", path.display());
            println!("cargo::rustc-env=HVKIT_EMBEDDED_FIRMWARE={}", path.display());
            println!("cargo::rustc-cfg=embedded");
        }
        _ => println!(
            "cargo::error={VARIABLE}: no file {}; a relative path begins at the package's folder",
            path.display()
        ),
    }
}
