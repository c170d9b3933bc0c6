//! The guest's user space: a busybox that says that it is there, and powers off.

use std::fs;

use anyhow::{Context, Result};

use crate::cpio::Archive;
use crate::judge::{FORBIDDEN, FORBIDDEN_MARK, NONCE_OPTION};
use crate::toolbox::Toolbox;
use crate::tools::{BUSYBOX, Tool};

/// The tools that [`guest`] needs.
pub(crate) const TOOLS: [&Tool; 1] = [&BUSYBOX];

/// Adds busybox, by the names of those of its programs that are used.
pub(crate) fn add_busybox(archive: &mut Archive, toolbox: &Toolbox, names: &[&str]) -> Result<()> {
    let file = toolbox.path(&BUSYBOX, "usr/bin/busybox");
    let busybox = fs::read(&file).with_context(|| file.display().to_string())?;
    archive.program("bin/busybox", &busybox)?;
    for name in names {
        archive.link(&format!("bin/{name}"), "busybox")?;
    }
    Ok(())
}

/// The initrd of a guest under test. It prints the nonce from its command line, how many CPUs it
/// has, and each line of the kernel's log that a good guest doesn't cause; then it powers off.
pub(crate) fn guest(toolbox: &Toolbox) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    add_busybox(
        &mut archive,
        toolbox,
        &["sh", "mount", "cat", "dmesg", "grep", "nproc", "poweroff"],
    )?;
    archive.folder("proc")?;
    archive.folder("sys")?;
    archive.program("init", guest_script().as_bytes())?;
    archive.finish()
}

fn guest_script() -> String {
    let patterns: String = FORBIDDEN.iter().map(|pattern| format!(" -e '{pattern}'")).collect();
    format!(
        r#"#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for option in $(cat /proc/cmdline); do
    case $option in
        {NONCE_OPTION}*) nonce=${{option#{NONCE_OPTION}}} ;;
    esac
done
dmesg | grep -F{patterns} | while read -r line; do
    echo "{FORBIDDEN_MARK}$line"
done
echo "hvkit: cpus $(nproc)"
echo "hvkit: nonce $nonce"
poweroff -f
"#
    )
}
