//! The checker of VM entries and the decoder of exits: `cargo bench -p hvkit-vmx`.
//!
//! "All rules" is what somebody waits for whose entry failed: the findings of all 224 rules and the
//! outcomes that they admit. The VMCS is a 64-bit guest's that breaks none, so that every rule is gone
//! through to its end, and the same with one field wrong in each area. "Decode" is over all basic exit
//! reasons in turn, each with every bit of the qualification in turn, from a VMCS in memory.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, missing_docs, reason = "a bench")]

#[path = "../tests/entry_rules/case.rs"]
#[allow(dead_code, unused_macros, unused_imports, reason = "the tests use all of it")]
mod case;

use std::hint::black_box;
use std::time::Instant;

use case::Case;
use vmx::{Exit, Finding, VmcsSnapshot, field};

/// What is to be held, in nanoseconds.
const MOST_CHECK: f64 = 2000.0;
const MOST_DECODE: f64 = 20.0;
const ROUNDS: usize = 101;
const REASONS: u64 = 78;

fn main() {
    let good = Case::new();
    assert_eq!(good.check().broken().count(), 0);
    let mut bad = Case::new();
    bad.set(field::GUEST_RFLAGS, 0);
    bad.set(field::HOST_CR4, 0);
    bad.set(field::PRIMARY_CONTROLS, 0);
    for (name, case) in [("none broken", &good), ("some broken", &bad)] {
        let each = least(1000, || {
            let mut broken = 0;
            let outcomes = black_box(case).check().report(|_, finding| {
                broken += u32::from(matches!(finding, Finding::Broken(_)));
            });
            black_box((broken, outcomes));
        });
        report(&format!("all rules and outcomes, {name}"), each, MOST_CHECK);
    }

    let exits: Vec<VmcsSnapshot> = (0..REASONS)
        .map(|reason| {
            let mut vmcs = VmcsSnapshot::zeroed(&good.caps);
            vmcs.set(field::EXIT_REASON.encoding(), reason);
            vmcs.set(field::EXIT_QUALIFICATION.encoding(), 1 << (reason % 64));
            vmcs
        })
        .collect();
    let each = least(1000, || {
        for vmcs in black_box(&exits) {
            black_box(Exit::decode(vmcs)).unwrap();
        }
    });
    report("decode, each basic reason", each / REASONS as f64, MOST_DECODE);
}

/// The least mean time of a call, in nanoseconds: whatever else the machine does only adds to it.
fn least(calls: u32, mut call: impl FnMut()) -> f64 {
    (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..calls).for_each(|_| call());
            start.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
        })
        .fold(f64::INFINITY, f64::min)
}

fn report(what: &str, nanoseconds: f64, most: f64) {
    let verdict = if nanoseconds < most { "holds" } else { "DOES NOT HOLD" };
    println!("{what:<40} {nanoseconds:>8.1} ns, bar {most}: {verdict}");
}
