//! One run of libFuzzer: how it is started, and what it prints.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process;

/// How long a target may take beyond the time that it was given.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a run of libFuzzer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// How many inputs were run.
    pub(crate) runs: u64,
    /// How many of them reached something new.
    pub(crate) new: u64,
    /// How many edges of the program were reached.
    pub(crate) edges: u64,
    /// Whether it got past the corpus that it began with.
    pub(crate) began: bool,
    /// What was found, if anything was.
    pub(crate) finding: Option<Finding>,
}

/// A failure that libFuzzer found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What the panic said, or libFuzzer.
    pub(crate) what: String,
    /// The input.
    pub(crate) input: Option<PathBuf>,
}

/// Without it libFuzzer would leave them where it was started.
pub(crate) fn artifact_prefix(artifacts: &Path) -> String {
    format!("-artifact_prefix={}/", artifacts.display())
}

/// A run of libFuzzer.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    /// The program.
    pub(crate) program: &'a Path,
    /// The target that it is.
    pub(crate) name: &'a str,
    /// How long.
    pub(crate) seconds: u64,
    /// Folders of inputs. What is new goes to the first.
    pub(crate) inputs: &'a [PathBuf],
    /// More for libFuzzer.
    pub(crate) arguments: &'a [&'a str],
    /// The folder for logs, and for inputs on which the target fails.
    pub(crate) place: &'a Path,
}

impl Run<'_> {
    /// Runs it to its end.
    pub(crate) fn run(&self) -> Result<Outcome> {
        let artifacts = self.place.join("artifacts").join(self.name);
        let logs = self.place.join("logs");
        for needed in self.inputs.iter().chain([&artifacts, &logs]) {
            fs::create_dir_all(needed).with_context(|| needed.display().to_string())?;
        }
        let log = logs.join(format!("{}.log", self.name));
        let mut command = process::command(self.program);
        command.arg(format!("-max_total_time={}", self.seconds)).arg("-print_final_stats=1");
        // An input that takes so long is a finding.
        command.arg("-timeout=10").arg(artifact_prefix(&artifacts));
        command.args(self.arguments).args(self.inputs);
        // Names of functions in a backtrace would take a symbolizer.
        command.env("RUST_BACKTRACE", "0");
        let limit = Duration::from_secs(self.seconds) + PATIENCE;
        let is_well = run_into(&mut command, &log, limit)?;
        let mut outcome = parse_log(&String::from_utf8_lossy(&fs::read(&log)?));
        if !is_well && outcome.finding.is_none() {
            let what = format!("it ended with a failure; log: {}", log.display());
            outcome.finding = Some(Finding { what, input: None });
        }
        Ok(outcome)
    }
}

/// Runs a command with all that it prints in a file. Whether it ended in time, and well.
pub(crate) fn run_into(command: &mut Command, log: &Path, limit: Duration) -> Result<bool> {
    let file = File::create(log).with_context(|| log.display().to_string())?;
    let status = process::run(command.stdout(file.try_clone()?).stderr(file), limit)?;
    Ok(status.is_some_and(|status| status.success()))
}

/// Reads what libFuzzer printed.
fn parse_log(log: &str) -> Outcome {
    let statistic = |name: &str| {
        let line = log.lines().rev().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
    };
    let edges = log.lines().filter(|line| line.starts_with('#')).filter_map(|line| {
        let (_, rest) = line.split_once(" cov: ")?;
        rest.split(' ').next()?.parse().ok()
    });
    let errors = ["ERROR: ", "SUMMARY: "];
    let error = errors.iter().find_map(|mark| {
        log.lines().find_map(|line| Some(line.split_once(mark)?.1.trim().to_owned()))
    });
    let mut lines = log.lines().skip_while(|line| !line.contains("panicked at "));
    let panic = lines.next().and_then(|line| Some(line.split_once("panicked at ")?.1.to_owned()));
    let panic = panic.map(|place| format!("{place} {}", lines.next().unwrap_or_default()));
    let input = log.lines().find_map(|line| Some(line.split_once("Test unit written to ")?.1));
    let finding = error
        .map(|error| Finding { what: panic.unwrap_or(error), input: input.map(PathBuf::from) });
    Outcome {
        runs: statistic("stat::number_of_executed_units"),
        new: statistic("stat::new_units_added"),
        edges: edges.max().unwrap_or(0),
        began: log.lines().any(|line| line.contains("\tINITED ")),
        finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_finds_nothing_is_read() {
        let log = "#10\tINITED cov: 12 ft: 30 corp: 3/9b\n#99\tNEW    cov: 14 ft: 31 corp: 4/9b\n\
                   #100\tDONE   cov: 14 ft: 31\nstat::number_of_executed_units: 100\n\
                   stat::new_units_added:          1\n";
        let wanted = Outcome { runs: 100, new: 1, edges: 14, began: true, finding: None };
        assert_eq!(parse_log(log), wanted);
    }

    #[test]
    fn a_panic_is_a_finding_with_its_place_and_its_input() {
        let log = "\nthread '<unnamed>' (1) panicked at /x/lib.rs:3:5:\nno such thing\nnote: x\n\
                   ==7== ERROR: libFuzzer: deadly signal\nstat::number_of_executed_units: 7\n\
                   artifact_prefix='a/'; Test unit written to a/crash-1\n";
        let outcome = parse_log(log);
        assert_eq!((outcome.runs, outcome.began), (7, false));
        let what = "/x/lib.rs:3:5: no such thing".to_owned();
        assert_eq!(outcome.finding, Some(Finding { what, input: Some("a/crash-1".into()) }));
    }
}
