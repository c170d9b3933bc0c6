//! Links the freestanding image: no C start-up code, no libraries, addresses from a script.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=hvmloader.ld");
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
        &format!("-Wl,-T,{folder}/hvmloader.ld"),
    ] {
        println!("cargo::rustc-link-arg-bin=hvmloader={argument}");
    }
}
