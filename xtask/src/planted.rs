//! `cargo xtask fuzz --planted`: a bug planted for each target, which the target has to find.
//!
//! `fuzz/planted/TARGET.patch` is the bug, for a copy of the tree.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::fuzz::{self, Build};
use crate::libfuzzer::Run;
use crate::{paths, process};

/// How a planted bug was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// From an empty corpus, after so many runs.
    FromNothing(u64),
    /// From the committed one, after so many runs.
    FromCorpus(u64),
    /// By an input of the committed corpus, so that its replay is red, too.
    ByCorpus,
    /// Not at all.
    Not,
}

/// Plants the bug of each target in turn, and has it searched for so long: from nothing, then from
/// the committed corpus. Whether all were found.
pub(crate) fn search(names: &[String], seconds: u64) -> Result<bool> {
    let folder = fuzz::folder().join("planted");
    let tree = folder.join("tree");
    let mut all_found = true;
    for target in fuzz::targets(names)? {
        let name = target.name.as_str();
        let patch = paths::workspace().join(format!("fuzz/planted/{name}.patch"));
        ensure!(patch.exists(), "there is no bug to plant for {name}: {}", patch.display());
        copy_tree(&tree)?;
        apply(&patch, &tree)?;
        let build = Build {
            arguments: &["--quiet"],
            ..Build::for_libfuzzer(&tree, folder.join("targets"))
        };
        let program = build.run(&[name], "release")?.join(name);
        let (found, what) = look(&program, name, seconds, &folder)?;
        let bug = first_line(&patch)?;
        match found {
            Found::FromNothing(runs) => println!("{name}: found from nothing after {runs} runs"),
            Found::FromCorpus(runs) => {
                println!("{name}: found from the corpus after {runs} runs");
            }
            Found::ByCorpus => println!("{name}: found by an input of the corpus"),
            Found::Not => {
                all_found = false;
                println!("{name}: NOT FOUND in {seconds} s from nothing, nor from the corpus");
            }
        }
        println!("  planted: {bug}");
        if !what.is_empty() {
            println!("  seen as: {what}");
        }
    }
    // What is left is the tree as it should be.
    copy_tree(&tree)?;
    Ok(all_found)
}

/// Searches from nothing, then from the corpus.
fn look(program: &Path, name: &str, seconds: u64, folder: &Path) -> Result<(Found, String)> {
    let scratch = folder.join("corpus").join(name);
    for folders in [vec![scratch.clone()], vec![scratch.clone(), fuzz::corpus(name)]] {
        if scratch.exists() {
            fs::remove_dir_all(&scratch)?;
        }
        // The same numbers each time, so that runs can be compared.
        let outcome = Run {
            program,
            name,
            seconds,
            inputs: &folders,
            arguments: &["-seed=1"],
            place: folder,
        }
        .run()?;
        if let Some(finding) = outcome.finding {
            // A target that does not start has found nothing.
            ensure!(finding.input.is_some(), "{name}: {}", finding.what);
            let found = match (folders.len(), outcome.began) {
                (1, _) => Found::FromNothing(outcome.runs),
                (_, true) => Found::FromCorpus(outcome.runs),
                (_, false) => Found::ByCorpus,
            };
            return Ok((found, shortened(&finding.what)));
        }
    }
    Ok((Found::Not, String::new()))
}

/// What was seen, without the path of the copy, and not at length.
fn shortened(what: &str) -> String {
    let tree = format!("{}/", fuzz::folder().join("planted/tree").display());
    what.replace(&tree, "").chars().take(160).collect()
}

/// The line above the patch, which says what is wrong.
fn first_line(patch: &Path) -> Result<String> {
    let text = fs::read_to_string(patch)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Copies what is committed, or about to be. Files that are the same keep their times, so that cargo
/// builds only what differs.
fn copy_tree(to: &Path) -> Result<()> {
    let root = paths::workspace();
    let mut git = process::command("git");
    git.arg("-C").arg(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    for name in process::output(&mut git)?.split_terminator('\0') {
        let (from, to) = (root.join(name), to.join(name));
        if name.starts_with("fuzz/corpus/") || !from.is_file() {
            continue;
        }
        let bytes = fs::read(&from).with_context(|| from.display().to_string())?;
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        fs::create_dir_all(to.parent().map_or(PathBuf::new(), Path::to_owned))?;
        fs::write(&to, bytes).with_context(|| to.display().to_string())?;
    }
    Ok(())
}

fn apply(patch: &Path, tree: &Path) -> Result<()> {
    let mut git = process::command("git");
    // The copy lies in a folder that our repository ignores; git must not take it for part of that.
    git.env("GIT_CEILING_DIRECTORIES", tree.parent().unwrap_or(tree)).current_dir(tree);
    process::output(git.arg("apply").arg(patch))
        .with_context(|| format!("{} does not fit the tree any more", patch.display()))?;
    Ok(())
}
