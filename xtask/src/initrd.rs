//! The guest's user space: a busybox that says that it is there, and powers off.

use std::fs;

use anyhow::{Context, Result};

use crate::cpio::Archive;
use crate::guest_tables::{BYTES_MARK, CPUS_MARK, END_MARK, NAME_MARK, OPTION};
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
/// has, and each line of the kernel's log that a good guest doesn't cause; then it powers off. Asked
/// by a word on its command line it prints its tables too; see [`mod@crate::guest_tables`].
pub(crate) fn guest(toolbox: &Toolbox) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    add_busybox(
        &mut archive,
        toolbox,
        &["sh", "mount", "cat", "dmesg", "grep", "nproc", "poweroff", "sed", "xxd"],
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
        {OPTION}) tables="/sys/firmware/acpi/tables/* /sys/firmware/dmi/tables/*" ;;
    esac
done
dmesg | grep -F{patterns} | while read -r line; do
    echo "{FORBIDDEN_MARK}$line"
done
echo "{CPUS_MARK}$(nproc)"
# The kernel's own lines would come between.
dmesg -n 1
for table in $tables; do
    [ -f "$table" ] || continue
    echo "{NAME_MARK}${{table##*/}}"
    xxd -p "$table" | sed 's/^/{BYTES_MARK}/'
    echo "{END_MARK}"
done
dmesg -n 7
echo "hvkit: nonce $nonce"
poweroff -f
"#
    )
}
