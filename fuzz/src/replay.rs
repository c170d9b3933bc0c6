//! Runs one target over files, without a fuzzer: `replay TARGET FILE-OR-FOLDER...`.
//!
//! `replay --list` prints a line of words for each target: its name, the share of lines that its corpus has to
//! cover, and what it is about.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs, io};

use hvkit_fuzz::TARGETS;

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let name = arguments.next().unwrap_or_default();
    if name == "--list" {
        for target in TARGETS {
            println!("{} {} {}", target.name, target.at_least, target.about.join(" "));
        }
        return ExitCode::SUCCESS;
    }
    let Some(target) = TARGETS.iter().find(|target| name == target.name) else {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("replay TARGET FILE-OR-FOLDER...; the targets: {}", names.join(", "));
        return ExitCode::from(2);
    };
    let mut count = 0;
    for path in arguments.map(PathBuf::from) {
        match files(&path) {
            Ok(files) => {
                count += files.len();
                files.iter().for_each(|bytes| (target.body)(bytes));
            }
            Err(error) => {
                eprintln!("replay: {}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{}: {count} files", target.name);
    ExitCode::SUCCESS
}

/// The contents of a file, or of each file in a folder.
fn files(path: &PathBuf) -> io::Result<Vec<Vec<u8>>> {
    if !path.is_dir() {
        return Ok(vec![fs::read(path)?]);
    }
    let mut paths =
        fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    paths.iter().map(fs::read).collect()
}
