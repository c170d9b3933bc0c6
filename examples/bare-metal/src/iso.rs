//! The ISO image from which GRUB starts the hypervisor, in Bochs or on a real machine.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::bundle::Files;
use crate::failure::Failure;
use crate::tool;

/// Writes an ISO with GRUB, the hypervisor and the guest's files to `iso`; `scratch` is a folder
/// for its parts.
pub(crate) fn write(
    hypervisor: &[u8],
    files: &Files,
    scratch: &Path,
    iso: &Path,
) -> Result<(), Failure> {
    let root = scratch.join("iso");
    let boot = root.join("boot");
    put(&boot.join("hypervisor"), hypervisor)?;
    // As a file: GRUB changes what it passes on as a command line.
    put(&boot.join("options"), files.own_line.as_bytes())?;
    let mut menu = "set timeout=0\nmenuentry hvkit {\n  multiboot2 /boot/hypervisor\n  \
                    module2 /boot/options options\n"
        .to_owned();
    for (name, bytes) in &files.modules {
        put(&boot.join(name), bytes)?;
        menu += &format!("  module2 /boot/{name} {name}\n");
    }
    put(&boot.join("grub/grub.cfg"), (menu + "}\n").as_bytes())?;

    let mkrescue = tool::find("grub", &["grub-mkrescue"])?;
    let output = Command::new(&mkrescue)
        .arg("-o")
        .arg(iso)
        .arg(&root)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::Tool(format!("{}: {error}", mkrescue.display())))?;
    if output.status.success() && iso.exists() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::Tool(format!("grub-mkrescue failed: {}", said.trim_end())))
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error| Failure::File { path: path.to_owned(), error };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(path, bytes).map_err(failed)
}
