//! `--gdb`, with a client of gdb's protocol, and with gdb. Needs /dev/kvm.

#![cfg(feature = "kvm-rig")]
#![allow(clippy::unwrap_used)]

mod common;
mod gdb_session;

use std::net::TcpListener;
use std::process::Stdio;

use common::{finish, program, run, vmm};

/// One test for each function.
macro_rules! sessions {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            gdb_session::$name(&program());
        })*
    };
}

sessions! {
    the_tour_can_be_followed
    a_loop_can_be_watched_and_changed
    a_step_over_an_exit_ends_behind_it
    what_gdb_writes_stays_written
    a_write_is_watched_or_refused
    an_endless_guest_can_be_interrupted_and_left
    a_connection_that_is_lost_is_said
    gdb_can_end_the_guest
    a_crash_stops_the_guest_and_then_ends_it
    cpus_are_threads
    a_step_of_one_cpu_leaves_the_other_where_it_is
    a_reset_is_a_stop
}

#[test]
fn int3_is_a_breakpoint_or_refused() {
    let works = gdb_session::int3_is_a_breakpoint_or_refused(&program());
    println!("breakpoints by INT3: {}", if works { "yes" } else { "refused" });
}

#[test]
#[ignore = "needs gdb: `-- --ignored` runs it"]
fn gdb_follows_the_tour() {
    assert!(gdb_session::gdb_follows_the_tour(&program()), "gdb is not installed");
}

#[test]
fn a_guest_that_waits_for_gdb_can_be_ended() {
    let run = run(&["--gdb", ":0", "--timeout", "0.3"]);
    run.fails(124, "the guest waits for gdb; type there: target remote 127.0.0.1:");
    assert_eq!(run.stdout, "");
}

#[test]
fn an_address_that_is_taken_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let child = vmm(&["--gdb", &address]).stdin(Stdio::null()).spawn().unwrap();
    finish(child).fails(69, "wait for gdb: Address already in use");
}
