//! The guest's user space: a busybox that says that it is there, and powers off.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::cpio::Archive;
use crate::disks::{
    FOUND_MARK, HALF_SECTORS, NONCE_BYTES, NONCE_SECTOR, OPTION as DISKS, OWN_SECTOR, REFUSED,
};
use crate::guest_tables::{BYTES_MARK, CPUS_MARK, END_MARK, NAME_MARK, OPTION};
use crate::judge::{FORBIDDEN, FORBIDDEN_MARK, NONCE_OPTION};
use crate::toolbox::Toolbox;
use crate::tools::{BUSYBOX, LINUX_TRIXIE, Tool};
use crate::variables::{MARK as VARIABLE_MARK, OPTION as VARIABLE, VENDOR};

/// Half a disk in blocks of 64 KiB.
const HALF_BLOCKS: usize = HALF_SECTORS / 128;

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
/// by words on its command line it prints its tables too, uses its disks, or its UEFI variables; see
/// [`mod@crate::guest_tables`], [`mod@crate::disks`], [`mod@crate::variables`]. `modules` of
/// [`LINUX_TRIXIE`] are loaded first.
pub(crate) fn guest(toolbox: &Toolbox, modules: &[&str]) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    add_busybox(
        &mut archive,
        toolbox,
        &[
            "sh", "mount", "cat", "dd", "dmesg", "grep", "head", "insmod", "nproc", "poweroff",
            "sed", "sync", "tail", "xxd",
        ],
    )?;
    for folder in ["dev", "proc", "sys"] {
        archive.folder(folder)?;
    }
    let mut loads = String::new();
    for module in modules {
        let name = add_module(&mut archive, toolbox, module)?;
        loads.push_str(&format!("insmod /{name}\n"));
    }
    archive.program("init", guest_script(&loads).as_bytes())?;
    archive.finish()
}

/// Adds a module, as the package has it: plain, or packed by xz, which busybox unpacks.
pub(crate) fn add_module(archive: &mut Archive, toolbox: &Toolbox, module: &str) -> Result<String> {
    for suffix in ["", ".xz"] {
        let name = format!("modules/kernel/{module}{suffix}");
        let file = toolbox.path(&LINUX_TRIXIE, &name);
        if file.exists() {
            archive.file(&name, &fs::read(file)?)?;
            return Ok(name);
        }
    }
    bail!("the kernel package has no {module}")
}

fn guest_script(loads: &str) -> String {
    let patterns: String = FORBIDDEN.iter().map(|pattern| format!(" -e '{pattern}'")).collect();
    format!(
        r#"#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for option in $(cat /proc/cmdline); do
    case $option in
        {NONCE_OPTION}*) nonce=${{option#{NONCE_OPTION}}} ;;
        {DISKS}) disks=1 ;;
        {VARIABLE}*) variable=${{option#{VARIABLE}}} ;;
        {OPTION}) tables="/sys/firmware/acpi/tables/* /sys/firmware/dmi/tables/*" ;;
    esac
done
{loads}if [ "$disks" ]; then
    mount -t devtmpfs devtmpfs /dev
    for disk in /dev/vda /dev/vdb; do
        echo "{FOUND_MARK}$(dd if=$disk skip={NONCE_SECTOR} count=1 2>/dev/null | head -c {NONCE_BYTES})"
        dd if=$disk of=$disk bs=64k count={HALF_BLOCKS} seek={HALF_BLOCKS} conv=notrunc,fsync 2>/dev/null ||
            echo "{REFUSED}"
    done
    echo -n "$nonce" | dd of=/dev/vda seek={OWN_SECTOR} conv=notrunc,sync,fsync 2>/dev/null
    sync
fi
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
