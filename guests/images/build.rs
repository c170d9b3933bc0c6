//! Builds the freestanding guests with a cargo of their own, in a target folder of their own: a
//! nested build that shared ours would wait for us for ever.

#![allow(clippy::panic, reason = "a build script has no other way to say why it failed")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Settings of the outer build that would break a freestanding link.
const NOT_INHERITED: [&str; 6] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_TARGET_DIR",
];

/// What the guests are made of: themselves, and libraries of ours.
const SOURCES: [&str; 4] = ["guests/ring0.s", "guests/tour", "guests/hvmloader", "Cargo.lock"];
const LIBRARIES: [&str; 9] = [
    "acpi-builder",
    "boot-plan",
    "chipset",
    "elf-boot",
    "fw-cfg",
    "guest-state",
    "hvmloader-core",
    "machine",
    "smbios-builder",
];
/// The packages, and the features that build their images.
const PACKAGES: [&str; 2] = ["hvkit-tour", "hvkit-hvmloader"];
const FEATURES: &str = "hvkit-tour/image,hvkit-hvmloader/image";

fn main() {
    let folder = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(variable("OUT_DIR"));
    let root = folder.join("../..");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    for library in LIBRARIES {
        println!("cargo::rerun-if-changed={}", root.join(library).join("src").display());
        println!("cargo::rerun-if-changed={}", root.join(library).join("Cargo.toml").display());
    }
    let target = out.join("guests");
    build(&root, &target);
    for bin in ["tour", "boot-sector", "hvmloader"] {
        let built = target.join("release").join(bin);
        if let Err(error) = std::fs::copy(&built, out.join(bin)) {
            panic!("can't copy {}: {error}", built.display());
        }
    }
}

fn build(root: &Path, target: &Path) {
    let mut cargo = Command::new(variable("CARGO"));
    cargo
        .current_dir(root)
        .args(["build", "--quiet", "--release", "--bins", "--features", FEATURES])
        .args(PACKAGES.iter().flat_map(|package| ["--package", package]))
        .args(["--config", "profile.release.panic=\"abort\""])
        .args(["--config", "profile.release.opt-level=\"s\""])
        .args(["--config", "profile.release.strip=true"])
        .arg("--target-dir")
        .arg(target);
    for name in NOT_INHERITED {
        cargo.env_remove(name);
    }
    match cargo.status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("building the guests failed: {status}"),
        Err(error) => panic!("can't run cargo: {error}"),
    }
}

fn variable(name: &str) -> String {
    match env::var(name) {
        Ok(value) => value,
        Err(error) => panic!("{name}: {error}"),
    }
}
