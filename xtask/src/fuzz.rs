//! `cargo xtask fuzz`: runs the fuzz targets, and says what came of it.
//!
//! libFuzzer needs nothing of a nightly compiler but AddressSanitizer, which safe code can do
//! without. So the targets are built by plain cargo, with the flags that cargo-fuzz would pass.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::libfuzzer::{Run, artifact_prefix, run_into};
use crate::{paths, process};

/// What makes the compiler count edges and comparisons for libFuzzer. Overflow is a bug here.
const FLAGS: [&str; 12] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
    "-Coverflow-checks",
    "-Cstrip=none",
    "-Cforce-frame-pointers",
];

/// What is known of a target: the first line of `replay --list` that has its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its name.
    pub(crate) name: String,
    /// How many percent of the lines that it is about its committed corpus has to cover.
    pub(crate) at_least: u64,
    /// The sources that it is about: files, and folders.
    pub(crate) about: Vec<String>,
}

/// What cargo is to build: which workspace, with which flags, into which folder.
#[derive(Debug)]
pub(crate) struct Build<'a> {
    /// The folder that has `fuzz/`.
    pub(crate) root: &'a Path,
    /// Where to.
    pub(crate) folder: PathBuf,
    /// For the compiler.
    pub(crate) flags: &'a [&'a str],
    /// For cargo.
    pub(crate) arguments: &'a [&'a str],
}

impl Build<'_> {
    /// Builds the programs of these names, and returns the folder that they are in.
    pub(crate) fn run(&self, programs: &[&str], profile: &str) -> Result<PathBuf> {
        let host = rustc("host")?;
        let mut cargo = process::cargo();
        cargo.arg("build").arg("--manifest-path").arg(self.root.join("fuzz/Cargo.toml"));
        // With --target, build scripts and macros are left alone by the flags.
        cargo.args(["--profile", profile, "--target", &host, "--target-dir"]).arg(&self.folder);
        cargo.args(self.arguments).env("CARGO_ENCODED_RUSTFLAGS", self.flags.join("\x1f"));
        for program in programs {
            cargo.args(["--bin", program]);
        }
        let status = cargo.status().context("cannot start cargo")?;
        ensure!(status.success(), "the fuzz targets do not build");
        let profile = if profile == "dev" { "debug" } else { profile };
        Ok(self.folder.join(host).join(profile))
    }

    /// The targets for libFuzzer, as they are in the workspace at `root`.
    pub(crate) fn for_libfuzzer(root: &Path, folder: PathBuf) -> Build<'_> {
        Build { root, folder, flags: &FLAGS, arguments: &[] }
    }
}

/// A line of `rustc -vV`.
pub(crate) fn rustc(line: &str) -> Result<String> {
    let printed = process::output(process::command("rustc").arg("-vV"))?;
    let found = printed.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(": "));
    Ok(found.with_context(|| format!("rustc -vV has no line {line:?}"))?.to_owned())
}

/// The targets of these names, or all.
pub(crate) fn targets(names: &[String]) -> Result<Vec<Target>> {
    let arguments = ["--quiet", "--no-default-features"];
    let root = paths::workspace();
    let build = Build { root, folder: folder().join("replay"), flags: &[], arguments: &arguments };
    let replay = build.run(&["replay"], "dev")?.join("replay");
    let all = parse_list(&process::output(process::command(replay).arg("--list"))?);
    ensure!(!all.is_empty(), "the list of targets is empty");
    let find = |name: &String| match all.iter().find(|target| target.name == *name) {
        Some(target) => Ok(target.clone()),
        None => {
            let known: Vec<_> = all.iter().map(|target| target.name.as_str()).collect();
            bail!("there is no target {name:?}; there are {}", known.join(", "))
        }
    };
    if names.is_empty() { Ok(all) } else { names.iter().map(find).collect() }
}

fn parse_list(printed: &str) -> Vec<Target> {
    let parse = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        let (name, at_least) = (words.next()?, words.next()?.parse().ok()?);
        Some(Target { name, at_least, about: words.collect() })
    };
    printed.lines().filter_map(parse).collect()
}

/// Where all of it goes.
pub(crate) fn folder() -> PathBuf {
    paths::target().join("fuzz")
}

/// The corpus that is committed.
pub(crate) fn corpus(target: &str) -> PathBuf {
    paths::workspace().join("fuzz/corpus").join(target)
}

/// Runs targets for so long each, from the committed corpus and what earlier runs have found.
/// Whether nothing was found.
pub(crate) fn fuzz(names: &[String], seconds: u64, merge: bool) -> Result<bool> {
    let targets = targets(names)?;
    let programs: Vec<_> = targets.iter().map(|target| target.name.as_str()).collect();
    let build = Build::for_libfuzzer(paths::workspace(), folder().join("targets"));
    let built = build.run(&programs, "release")?;
    let mut all_is_well = true;
    for name in programs {
        let found = folder().join("corpus").join(name);
        let program = built.join(name);
        let outcome = Run {
            program: &program,
            name,
            seconds,
            inputs: &[found.clone(), corpus(name)],
            arguments: &[],
            place: &folder(),
        }
        .run()?;
        match &outcome.finding {
            None => println!(
                "{name}: nothing found in {} runs; {} new inputs, {} edges",
                outcome.runs, outcome.new, outcome.edges
            ),
            Some(finding) => {
                all_is_well = false;
                println!("{name}: FOUND after {} runs: {}", outcome.runs, finding.what);
                if let Some(input) = &finding.input {
                    println!("  again: {REPLAY} {name} {}", input.display());
                }
            }
        }
        if merge && outcome.finding.is_none() {
            let before = inputs(&corpus(name))?.len();
            merge_corpus(&program, name, &found)?;
            let now = inputs(&corpus(name))?.len();
            println!("{name}: {now} inputs in the corpus, {before} before");
        }
    }
    Ok(all_is_well)
}

/// How to run one input again, without a fuzzer.
const REPLAY: &str =
    "cargo run --manifest-path fuzz/Cargo.toml --no-default-features --bin replay --";

/// Chooses the committed corpus anew, of itself and what was found: the inputs that have a name of
/// their own stay, and few and small ones reach the edges that these don't.
fn merge_corpus(program: &Path, name: &str, found: &Path) -> Result<()> {
    let (committed, chosen) = (corpus(name), folder().join("chosen").join(name));
    if chosen.exists() {
        fs::remove_dir_all(&chosen)?;
    }
    fs::create_dir_all(&chosen)?;
    for input in inputs(&committed)?.into_iter().filter(|input| !is_digest(input)) {
        fs::copy(committed.join(&input), chosen.join(&input))?;
    }
    let log = folder().join("logs").join(format!("{name}.merge.log"));
    // What was found comes last, so that it does not take the place of what is committed.
    for inputs in [committed.as_path(), found] {
        let mut command = process::command(program);
        // How often an edge was taken is worth an input to the fuzzer, not to those who keep it.
        command.args(["-set_cover_merge=1", "-use_counters=0"]).arg(&chosen).arg(inputs);
        command
            .arg(artifact_prefix(&folder().join("artifacts").join(name)))
            .env("RUST_BACKTRACE", "0");
        let is_well = run_into(&mut command, &log, Duration::from_secs(600))?;
        ensure!(is_well, "{name}: the corpus can't be merged; log: {}", log.display());
    }
    let kept = inputs(&chosen)?;
    for input in inputs(&committed)?.iter().filter(|input| !kept.contains(input)) {
        fs::remove_file(committed.join(input))?;
    }
    for input in kept {
        fs::copy(chosen.join(&input), committed.join(&input))?;
    }
    Ok(())
}

/// The names of the inputs in a folder.
fn inputs(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let name = |entry: io::Result<fs::DirEntry>| {
        let name = entry?.file_name().into_string();
        name.map_err(|name| anyhow!("{}: not a name of ours", name.display()))
    };
    entries.map(name).collect()
}

/// Whether an input has the name that libFuzzer gave it.
fn is_digest(input: &str) -> bool {
    input.len() == 40 && input.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_people_give_are_told_from_digests() {
        assert!(is_digest("9cb49fdf97c6eb1696e299e36dd4a49dedab0ace"));
        assert!(!is_digest("3a937583d1b6") && !is_digest("all-fields-tigerlake-all-controls"));
    }

    #[test]
    fn a_line_of_the_list_is_a_name_a_share_and_what_it_is_about() {
        let [one] = &parse_list("exits 90 vmx/src/exit vmx/src/skip.rs\n")[..] else { panic!() };
        assert_eq!((one.name.as_str(), one.at_least, one.about.len()), ("exits", 90, 2));
    }
}
