//! Links the freestanding images: no C start-up code, no libraries, addresses from a script.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=hypervisor.ld");
    println!("cargo::rerun-if-changed=src/boot.s");
    println!("cargo::rerun-if-changed=src/exceptions.s");
    println!("cargo::rerun-if-changed=src/lab_entry.s");
    if env::var_os("CARGO_FEATURE_IMAGE").is_none() {
        return;
    }
    let folder = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    for argument in [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,--build-id=none",
        "-Wl,-z,max-page-size=0x1000",
        "-Wl,-z,norelro",
        "-Wl,-z,noexecstack",
        &format!("-Wl,-T,{folder}/hypervisor.ld"),
    ] {
        for image in ["hypervisor", "entry-lab", "ept-lab"] {
            println!("cargo::rustc-link-arg-bin={image}={argument}");
        }
    }
}
