//! `cargo xtask fuzz --coverage`: which lines of what a target is about its committed corpus covers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::fuzz::{self, Build, Target};
use crate::toolbox::Toolbox;
use crate::tools::LLVM;
use crate::{paths, process};

/// What of a file, or of several, was reached, and of how much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Covered {
    lines: (u64, u64),
    regions: (u64, u64),
}

impl Covered {
    fn add(&mut self, other: Self) {
        let sum = |a: (u64, u64), b: (u64, u64)| (a.0 + b.0, a.1 + b.1);
        self.lines = sum(self.lines, other.lines);
        self.regions = sum(self.regions, other.regions);
    }

    fn row(self, name: &str, width: usize) -> String {
        let cell = |(covered, total): (u64, u64)| {
            let share = covered as f64 * 100.0 / (total as f64).max(1.0);
            format!("{covered:>5} of {total:>5}  {share:>5.1} %")
        };
        format!("{name:width$}  {}   {}", cell(self.lines), cell(self.regions))
    }
}

/// A crate in one piece, and all of it: the linker would drop parts that nothing calls, and with them
/// the knowledge that there are such lines.
const FLAGS: [&str; 3] = ["-Cinstrument-coverage", "-Ccodegen-units=1", "-Clink-dead-code"];

/// Replays the corpus of each target, and prints what it covers. Whether each covers what it has to.
pub(crate) fn report(names: &[String]) -> Result<bool> {
    let toolbox = Toolbox::ensure(&[&LLVM])?;
    check_version(&toolbox)?;
    let targets = fuzz::targets(names)?;
    let replay = Build {
        root: paths::workspace(),
        folder: fuzz::folder().join("coverage"),
        flags: &FLAGS,
        arguments: &["--no-default-features"],
    };
    let replay = replay.run(&["replay"], "dev")?.join("replay");
    let heading = |width: usize| format!("{:width$}  {:<23}   regions", "", "lines");
    let mut totals = Vec::new();
    for target in &targets {
        let profile = profile(&toolbox, &replay, &target.name)?;
        let export = |format: &str, more: &[&str]| {
            let mut cov = toolbox.command("llvm-cov");
            cov.arg("export").arg("--format").arg(format).args(more);
            cov.arg("--instr-profile").arg(&profile).arg(&replay).arg("--sources");
            process::output(cov.args(sources(target)?))
        };
        let files = parse_summary(&export("text", &["--summary-only"])?)?;
        for about in &target.about {
            let is_known = |file: &PathBuf| shortened(file).starts_with(about);
            ensure!(files.keys().any(is_known), "{}: llvm-cov knows no {about}", target.name);
        }
        let unreached = parse_functions(&export("lcov", &[])?);
        let short = |path: &Path| shortened(path).display().to_string();
        let width = files.keys().map(|path| short(path).len()).max().unwrap_or(0).max(12);
        println!("\n{}", heading(width + 2).replacen(' ', &target.name, 1).trim_end());
        let mut total = Covered::default();
        for (path, covered) in &files {
            total.add(*covered);
            println!("  {}", covered.row(&short(path), width));
        }
        totals.push((target, total));
        for (path, line) in unreached {
            if let Some(function) = function_at(&path, line) {
                println!("  not reached: {}:{line} {function}", short(&path));
            }
        }
    }
    println!("\n{}", heading(18).replacen("      ", "target", 1));
    let mut all_is_well = true;
    for (Target { name, at_least, .. }, total) in totals {
        let (covered, lines) = total.lines;
        let is_well = covered * 100 >= at_least * lines;
        all_is_well &= is_well;
        let row = total.row(name, 18);
        println!("{row}{}", if is_well { "" } else { "   LESS than it should be" });
        if !is_well {
            println!("  {at_least} % of the lines it is; see `at_least` in fuzz/src/targets.rs");
        }
    }
    Ok(all_is_well)
}

/// Each LLVM reads the profiles of its own compilers.
fn check_version(toolbox: &Toolbox) -> Result<()> {
    let compiler = fuzz::rustc("LLVM version")?;
    let printed = process::output(toolbox.command("llvm-profdata").arg("--version"))?;
    let (_, rest) = printed.split_once("LLVM version ").context("llvm-profdata has no version")?;
    let major = |version: &str| version.split('.').next().unwrap_or_default().trim().to_owned();
    let (tools, compiler) = (major(rest), major(&compiler));
    ensure!(
        tools.parse::<u32>()? >= compiler.parse()?,
        "llvm-profdata {tools} does not read the profiles of LLVM {compiler}, which rustc has"
    );
    Ok(())
}

/// Replays the corpus of a target, and returns the profile.
fn profile(toolbox: &Toolbox, replay: &Path, name: &str) -> Result<PathBuf> {
    let folder = fuzz::folder().join("profiles");
    fs::create_dir_all(&folder)?;
    let (raw, merged) = (folder.join(format!("{name}.raw")), folder.join(format!("{name}.data")));
    let mut command = process::command(replay);
    command.arg(name).arg(fuzz::corpus(name)).env("LLVM_PROFILE_FILE", &raw);
    process::output(&mut command)?;
    let mut profdata: Command = toolbox.command("llvm-profdata");
    profdata.args(["merge", "--sparse"]).arg(&raw).arg("-o").arg(&merged);
    process::output(&mut profdata)?;
    Ok(merged)
}

/// The files that a target is about.
fn sources(target: &Target) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for about in &target.about {
        let path = paths::workspace().join(about);
        // A file that was moved would silently be left out.
        ensure!(path.exists(), "{}: there is no {about}", target.name);
        files.push(path);
    }
    Ok(files)
}

fn shortened(path: &Path) -> &Path {
    path.strip_prefix(paths::workspace()).unwrap_or(path)
}

/// Reads the summary of each file from `llvm-cov export --summary-only`, which is JSON on one line.
fn parse_summary(json: &str) -> Result<BTreeMap<PathBuf, Covered>> {
    let mut files = BTreeMap::new();
    for part in json.split("{\"filename\":\"").skip(1) {
        let counts = |what: &str| {
            let (_, rest) = part.split_once(&format!("\"{what}\":{{\"count\":"))?;
            let (total, rest) = rest.split_once(",\"covered\":")?;
            Some((rest.split([',', '}']).next()?.parse().ok()?, total.parse().ok()?))
        };
        let parse = || {
            let (name, _) = part.split_once('"')?;
            let covered = Covered { lines: counts("lines")?, regions: counts("regions")? };
            Some((PathBuf::from(name), covered))
        };
        let (name, covered) = parse().context("llvm-cov's summary has another form")?;
        files.insert(name, covered);
    }
    ensure!(!files.is_empty(), "llvm-cov knows none of the files");
    Ok(files)
}

/// Reads from `llvm-cov export --format=lcov` where functions begin that were never called, in none
/// of their instances.
fn parse_functions(lcov: &str) -> Vec<(PathBuf, u32)> {
    let mut lines = BTreeMap::new();
    let mut calls: BTreeMap<(PathBuf, u32), u64> = BTreeMap::new();
    let mut path = PathBuf::new();
    for line in lcov.lines() {
        let Some((kind, rest)) = line.split_once(':') else { continue };
        let Some((first, last)) = rest.split_once(',') else {
            if kind == "SF" {
                path = rest.into();
            }
            continue;
        };
        let name = last.rsplit(',').next().unwrap_or(last).to_owned();
        match (kind, first.parse::<u64>()) {
            ("FN", Ok(line)) => {
                let line = u32::try_from(line).unwrap_or(u32::MAX);
                calls.entry((path.clone(), line)).or_default();
                lines.insert(name, line);
            }
            ("FNDA", Ok(count)) => {
                if let Some(line) = lines.get(&name) {
                    *calls.entry((path.clone(), *line)).or_default() += count;
                }
            }
            _ => {}
        }
    }
    calls.into_iter().filter(|(_, count)| *count == 0).map(|(place, _)| place).collect()
}

/// The name of the function that begins in a line; closures have none.
fn function_at(path: &Path, line: u32) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
    let (_, rest) = line.split_once("fn ")?;
    Some(rest.split(['(', '<']).next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read_by_file() {
        let json = r#"{"data":[{"files":[{"filename":"/a/b.rs","summary":{"branches":{"count":0,
            "covered":0,"notcovered":0,"percent":0},"lines":{"count":30,"covered":20,"percent":66},
            "regions":{"count":9,"covered":4,"notcovered":5,"percent":44}}}],"totals":{}}]}"#;
        let files = parse_summary(json).unwrap();
        let wanted = Covered { lines: (20, 30), regions: (4, 9) };
        assert_eq!(files.get(Path::new("/a/b.rs")), Some(&wanted));
        assert!(parse_summary("{}").is_err());
    }

    #[test]
    fn a_function_is_reached_if_one_of_its_instances_is() {
        let lcov = "SF:/a/b.rs\nFN:3,9,one::<u8>\nFN:3,9,one::<u16>\nFN:12,14,two\n\
                    FNDA:0,one::<u8>\nFNDA:5,one::<u16>\nFNDA:0,two\nDA:3,5\nend_of_record\n";
        assert_eq!(parse_functions(lcov), [(PathBuf::from("/a/b.rs"), 12)]);
    }
}
