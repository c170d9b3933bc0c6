//! Links the example statically where the system has a static C library: it starts faster and takes
//! less memory, since no loader runs and no shared library is mapped.
//!
//! `-C target-feature=+crt-static` would be the plain way. It can be given for all packages alone,
//! and proc macros can't be built so unless `--target` is given as well. So the compiler goes on
//! believing that it links dynamically, and the linker finds for each library that it asks for a
//! script that names the static one.

#![allow(clippy::panic, reason = "a build script has no other way to say why it failed")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What std asks for, and the archives that hold it. glibc has all of its own in libc.a since 2.34.
const LIBRARIES: [(&str, &[&str]); 7] = [
    ("c", &["libc.a", "libgcc_eh.a", "libgcc.a"]),
    ("gcc_s", &["libgcc_eh.a", "libgcc.a", "libc.a"]),
    ("dl", &["libdl.a"]),
    ("m", &["libm.a"]),
    ("pthread", &["libpthread.a"]),
    ("rt", &["librt.a"]),
    ("util", &["libutil.a"]),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    let is = |name: &str, wanted: &str| env::var(name).is_ok_and(|value| value == wanted);
    let features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    if !is("CARGO_CFG_TARGET_OS", "linux")
        || !is("CARGO_CFG_TARGET_ENV", "gnu")
        || env::var("HOST") != env::var("TARGET")
        || features.split(',').any(|feature| feature == "crt-static")
    {
        return;
    }
    let Some(scripts) = scripts() else {
        println!(
            "cargo::warning=no static C library (Debian: libc6-dev, Fedora: glibc-static): \
             kvm-vmm is linked dynamically"
        );
        return;
    };
    let Some(out) = env::var_os("OUT_DIR").map(PathBuf::from) else { return };
    let folder = out.join("static");
    if let Err(error) = write(&folder, &scripts) {
        panic!("can't write to {}: {error}", folder.display());
    }
    println!("cargo::rustc-link-arg-examples=-static-pie");
    println!("cargo::rustc-link-arg-examples=-L{}", folder.display());
}

/// The linker script for each library; `None` where an archive is missing.
fn scripts() -> Option<Vec<(&'static str, String)>> {
    LIBRARIES
        .into_iter()
        .map(|(library, archives)| {
            let paths: Option<Vec<_>> = archives.iter().map(|name| find(name)).collect();
            Some((library, format!("GROUP({})\n", paths?.join(" "))))
        })
        .collect()
}

/// Asks the C compiler, which links Rust's programs, for an archive.
fn find(archive: &str) -> Option<String> {
    let linker = env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    let output = Command::new(linker).arg(format!("-print-file-name={archive}")).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    // A name without a folder says that there is none.
    Path::new(path.trim()).is_absolute().then(|| path.trim().to_owned())
}

fn write(folder: &Path, scripts: &[(&str, String)]) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    scripts.iter().try_for_each(|(library, script)| {
        fs::write(folder.join(format!("lib{library}.so")), script)
    })
}
