//! The guest's user space: a busybox that says that it is there, and powers off.

use std::fs;

use anyhow::{Context, Result};

use crate::cpio::Archive;
use crate::guest_tables::{BYTES_MARK, CPUS_MARK, END_MARK, NAME_MARK, OPTION};
use crate::judge::{FORBIDDEN, FORBIDDEN_MARK, NONCE_OPTION};
use crate::nested;
use crate::toolbox::Toolbox;
use crate::tools::{BUSYBOX, Tool};
use crate::variables::{MARK as VARIABLE_MARK, OPTION as VARIABLE, VENDOR};

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
/// by a word on its command line it prints its tables too; see [`mod@crate::guest_tables`]. With the
/// module of Debian 13's kernel that shows UEFI's variables, it may be asked for these likewise; see
/// [`mod@crate::variables`].
pub(crate) fn guest(toolbox: &Toolbox, with_variables: bool) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    add_busybox(
        &mut archive,
        toolbox,
        &[
            "sh", "mount", "cat", "dmesg", "grep", "insmod", "nproc", "poweroff", "sed", "tail",
            "xxd",
        ],
    )?;
    archive.folder("proc")?;
    archive.folder("sys")?;
    let module = match with_variables {
        true => nested::add_module(&mut archive, toolbox, "fs/efivarfs/efivarfs.ko")?,
        false => String::new(),
    };
    archive.program("init", guest_script(&module).as_bytes())?;
    archive.finish()
}

fn guest_script(module: &str) -> String {
    let patterns: String = FORBIDDEN.iter().map(|pattern| format!(" -e '{pattern}'")).collect();
    format!(
        r#"#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for option in $(cat /proc/cmdline); do
    case $option in
        {NONCE_OPTION}*) nonce=${{option#{NONCE_OPTION}}} ;;
        {VARIABLE}*) variable=${{option#{VARIABLE}}} ;;
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
if [ -n "$variable" ]; then
    insmod "/{module}"
    mount -t efivarfs efivarfs /sys/firmware/efi/efivars
    cd /sys/firmware/efi/efivars
    for file in *-{VENDOR}; do
        [ -f "$file" ] || continue
        echo "{VARIABLE_MARK}${{file%-{VENDOR}}} $(tail -c +5 "$file")"
    done
    # Kept, for firmware and system; then what it holds.
    printf '\007\000\000\000%s' "$nonce" >"$variable-{VENDOR}"
    cd /
fi
dmesg -n 7
echo "hvkit: nonce $nonce"
poweroff -f
"#
    )
}
