//! The freestanding images: built by cargo, in a target folder of their own.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;

/// Settings of the outer build that would break a freestanding link.
const NOT_INHERITED: [&str; 6] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_TARGET_DIR",
];

/// Builds an image, `hypervisor` or `entry-lab`, and returns its ELF.
pub(crate) fn build(name: &str) -> Result<Vec<u8>, Failure> {
    let target = target_folder().join("bare-metal-image");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build
        .current_dir(workspace())
        .args(["build", "--quiet", "--release", "--package", "bare-metal-image"])
        .args(["--bin", name, "--features", "image"])
        .args(["--config", "profile.release.panic=\"abort\""])
        .args(["--config", "profile.release.strip=true"])
        .arg("--target-dir")
        .arg(&target);
    for name in NOT_INHERITED {
        build.env_remove(name);
    }
    match build.status() {
        Ok(status) if status.success() => {}
        Ok(_) => return Err(Failure::Image(format!("the image {name} does not build"))),
        Err(error) => return Err(Failure::Image(format!("cargo can't be run: {error}"))),
    }
    let path = target.join("release").join(name);
    std::fs::read(&path).map_err(|error| Failure::File { path, error })
}

/// The root of the workspace that this program was built in. Short: Bochs keeps paths in small
/// buffers.
pub(crate) fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// Cargo's target folder.
pub(crate) fn target_folder() -> PathBuf {
    let chosen = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    workspace().join(chosen)
}
