//! `cargo xtask test`: runs rigs and says how they ended.

use std::env;
use std::fs;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::checks::{self, Verdict};
use crate::nested::tail;
use crate::rig::{Rig, Tier};
use crate::rigs::ALL;

/// Skips that CI accepts.
const ALLOWED_SKIPS: &str = include_str!("../allowed-skips.txt");

/// Runs the rigs named, or else all of the tier. Whether none failed.
pub(crate) fn test(names: &[String], full: bool) -> Result<bool> {
    let rigs = select(names, full)?;
    let in_ci = env::var_os("CI").is_some_and(|value| value == "true");
    let mut verdicts = Vec::new();
    for (index, rig) in rigs.iter().enumerate() {
        eprintln!("[{}/{}] {}", index + 1, rigs.len(), rig.name);
        let started = Instant::now();
        let verdict = in_place(rig.name, checks::run(rig), in_ci);
        verdicts.push((*rig, verdict, started.elapsed()));
    }

    for (rig, verdict, _) in &verdicts {
        if let (Verdict::Failed(_), Ok(log)) = (verdict, fs::read(checks::log_path(rig))) {
            println!("\n{}: the end of its log\n{}", rig.name, tail(&log, 40));
        }
    }
    println!();
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (rig, verdict, time) in &verdicts {
        let (name, seconds) = (rig.name, time.as_secs_f32());
        match verdict {
            Verdict::Passed => {
                passed += 1;
                println!("{name}: passed ({seconds:.1} s)");
            }
            Verdict::Failed(why) => {
                failed += 1;
                println!("{name}: failed: {why}; log: {}", checks::log_path(rig).display());
            }
            Verdict::Skipped(why) => {
                skipped += 1;
                println!("{name}: skipped: {why}");
            }
        }
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    Ok(failed == 0)
}

/// A name stands for the rig, and for all whose names go on with a dash.
fn select(names: &[String], full: bool) -> Result<Vec<&'static Rig>> {
    if names.is_empty() {
        return Ok(ALL.iter().filter(|rig| full || rig.tier == Tier::Ci).collect());
    }
    let mut rigs: Vec<&Rig> = Vec::new();
    for name in names {
        let goes_on = |rig: &Rig| rig.name.strip_prefix(name).is_some_and(|r| r.starts_with('-'));
        let found = ALL.iter().filter(|rig| rig.name == name || goes_on(rig));
        let before = rigs.len();
        rigs.extend(found);
        if rigs.len() == before {
            let known: Vec<_> = ALL.iter().map(|rig| rig.name).collect();
            bail!("there is no rig {name:?}; there are {}", known.join(", "));
        }
    }
    Ok(rigs)
}

/// In CI a skip that nobody allowed is a failure.
fn in_place(name: &str, verdict: Verdict, in_ci: bool) -> Verdict {
    match verdict {
        Verdict::Skipped(why) if in_ci => {
            let line = format!("{name}: {why}");
            if ALLOWED_SKIPS.lines().any(|allowed| allowed == line) {
                Verdict::Skipped(why)
            } else {
                Verdict::Failed(format!("skipped, which CI does not allow: {why}"))
            }
        }
        verdict => verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_selects_the_rig_and_its_family_from_every_tier() {
        let names = |asked: &str| -> Vec<_> {
            select(&[asked.to_owned()], false).unwrap().iter().map(|rig| rig.name).collect()
        };
        assert_eq!(names("unit"), ["unit", "unit-release"]);
        assert_eq!(names("fmt"), ["fmt"]);
        assert!(select(&["uni".to_owned()], true).is_err());
    }

    #[test]
    fn full_adds_to_the_ci_tier() {
        let count = |full| select(&[], full).unwrap().len();
        assert!(count(true) > count(false));
        assert_eq!(count(true), ALL.len());
    }

    #[test]
    fn a_skip_that_nobody_allowed_fails_in_ci_only() {
        let skip = || Verdict::Skipped("the moon is full".to_owned());
        assert_eq!(in_place("unit", skip(), false), skip());
        assert!(matches!(in_place("unit", skip(), true), Verdict::Failed(_)));
        assert_eq!(in_place("unit", Verdict::Passed, true), Verdict::Passed);
    }
}
