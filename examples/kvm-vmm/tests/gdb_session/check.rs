//! Checks `--gdb` of a kvm-vmm that is given as a file, on a machine that has nothing but a kernel:
//! `gdb-check --vmm FILE --vmlinux FILE`. Its KVM is a real one, so that all has to work which a KVM
//! may lack that interprets the guest.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "mod.rs"]
mod gdb_session;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use gdb_session::*;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [_, vmm, _, vmlinux] = &arguments[..] else {
        panic!("usage: gdb-check --vmm FILE --vmlinux FILE")
    };
    // It came as a file that can't be run.
    let program = std::env::temp_dir().join("gdb-check-vmm");
    fs::copy(vmm, &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();

    let mut count = 0;
    let mut check = |name: &str, check: &dyn Fn(&Path)| {
        let started = Instant::now();
        check(&program);
        println!("{name}: holds, {:.1} s", started.elapsed().as_secs_f32());
        count += 1;
    };
    macro_rules! checks {
        ($($name:ident)*) => { $(check(stringify!($name), &$name);)* };
    }
    checks! {
        the_tour_can_be_followed
        a_loop_can_be_watched_and_changed
        a_step_over_an_exit_ends_behind_it
        what_gdb_writes_stays_written
        an_endless_guest_can_be_interrupted_and_left
        a_connection_that_is_lost_is_said
        gdb_can_end_the_guest
        a_crash_stops_the_guest_and_then_ends_it
        cpus_are_threads
        a_step_of_one_cpu_leaves_the_other_where_it_is
        a_reset_is_a_stop
    }
    check("linux_can_be_stopped_and_read", &|program| {
        linux_can_be_stopped_and_read(program, Path::new(vmlinux));
    });
    let watches = a_write_is_watched_or_refused(&program);
    assert!(watches, "this KVM has watchpoints");
    println!("watchpoints: hold");
    let int3 = int3_is_a_breakpoint_or_refused(&program);
    println!("breakpoints by INT3: {}", if int3 { "hold" } else { "refused" });
    println!("{count} of 12 hold");
}
