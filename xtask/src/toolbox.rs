//! The toolbox: programs, firmware and kernels that tests need, without installing anything.
//!
//! Each tool is a folder under `target/toolbox`:
//! `root/` holds its packages unpacked, `bin/` a starter for each of its programs, which runs it
//! by its own loader with its own libraries, and `PACKAGES` a line for each package. The folder
//! appears under its name only when all of it is there.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::env;
use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::apt::{self, Apt, Package};
use crate::tools::{ALL, Program, Tool};
use crate::{paths, process};

/// The folder of a tool's starters. It is made last.
const STARTERS: &str = "bin";

/// The toolbox, with the tools in it that were asked for.
#[derive(Debug)]
pub(crate) struct Toolbox {
    folder: PathBuf,
}

impl Toolbox {
    /// Brings `tools` where they are missing.
    ///
    /// # Errors
    ///
    /// When they cannot be had; on a system that is not Debian the error says what to install.
    pub(crate) fn ensure(tools: &[&'static Tool]) -> Result<Self> {
        let toolbox = Self { folder: paths::target().join("toolbox") };
        if !toolbox.missing(tools).is_empty() {
            if apt::is_usable() {
                toolbox.fetch(tools)?;
            } else {
                without_apt(&toolbox.missing(tools), &toolbox.folder)?;
            }
        }
        Ok(toolbox)
    }

    /// The command that starts `program`, which belongs to a tool that was asked for.
    pub(crate) fn command(&self, program: &str) -> Command {
        process::command(Self::starter(program))
    }

    /// What to start `program` by: its starter, if its tool is here, or its name.
    pub(crate) fn starter(program: &str) -> PathBuf {
        let folder = paths::target().join("toolbox");
        let starters = ALL.iter().map(|tool| folder.join(tool.name).join(STARTERS).join(program));
        starters.into_iter().find(|starter| starter.exists()).unwrap_or_else(|| program.into())
    }

    /// A file of `tool`, named as in its packages.
    pub(crate) fn path(&self, tool: &Tool, file: &str) -> PathBuf {
        self.folder.join(tool.name).join("root").join(file)
    }

    fn missing(&self, tools: &[&'static Tool]) -> Vec<&'static Tool> {
        let complete = |tool: &Tool| self.folder.join(tool.name).join(STARTERS).exists();
        tools.iter().copied().filter(|tool| !complete(tool)).collect()
    }

    fn fetch(&self, tools: &[&'static Tool]) -> Result<()> {
        fs::create_dir_all(&self.folder)?;
        let lock = File::create(self.folder.join("lock"))?;
        lock.lock().context("cannot lock the toolbox")?;
        // Somebody else may have fetched them by now. What is left of an interrupted fetch is
        // nobody's under the lock.
        let missing = self.missing(tools);
        let scratch = self.folder.join("fetching");
        if scratch.exists() {
            fs::remove_dir_all(&scratch)?;
        }
        let archives = scratch.join("archives");
        fs::create_dir_all(&archives)?;
        let mut indexes = BTreeMap::new();
        for tool in missing {
            let apt = match indexes.entry(tool.suite) {
                Entry::Occupied(index) => index.into_mut(),
                Entry::Vacant(none) => {
                    none.insert(Apt::open(&scratch.join("index").join(tool.suite), tool.suite)?)
                }
            };
            fetch(tool, apt, &archives, &scratch.join(tool.name))
                .with_context(|| format!("cannot fetch {}", tool.name))?;
            let place = self.folder.join(tool.name);
            if place.exists() {
                fs::remove_dir_all(&place)?;
            }
            fs::rename(scratch.join(tool.name), place)?;
        }
        fs::remove_dir_all(&scratch)?;
        Ok(())
    }
}

/// Downloads and unpacks one tool into `folder`.
fn fetch(tool: &Tool, apt: &Apt, archives: &Path, folder: &Path) -> Result<()> {
    let mut packages = apt.solve(tool.packages)?;
    packages.retain(|package| belongs(tool, package));
    let fresh: Vec<_> = packages.iter().filter(|p| !archives.join(&p.file).exists()).collect();
    let bytes: u64 = fresh.iter().map(|package| package.size_bytes).sum();
    eprintln!(
        "toolbox: fetching {} from Debian {}: {}.{} MB (packages: {})",
        tool.name,
        tool.suite,
        bytes / 1_000_000,
        bytes / 100_000 % 10,
        fresh.len()
    );
    if !fresh.is_empty() {
        apt.download(&fresh, archives)?;
    }

    let root = folder.join("root");
    fs::create_dir_all(&root)?;
    let files: Vec<_> = packages.iter().map(|package| archives.join(&package.file)).collect();
    for file in &files {
        apt::unpack(file, &root)?;
    }
    complete(tool, folder)?;
    let mut list = String::new();
    for (package, digest) in packages.iter().zip(apt::sha256(&files)?) {
        writeln!(list, "{} {} sha256:{digest}", package.name, package.version)?;
    }
    fs::write(folder.join("PACKAGES"), list)?;
    Ok(())
}

/// Does what remains to be done once a tool's packages are unpacked.
fn complete(tool: &Tool, folder: &Path) -> Result<()> {
    (tool.finish)(&folder.join("root"))?;
    let starters = folder.join(STARTERS);
    fs::create_dir(&starters)?;
    for program in tool.programs {
        let starter = starters.join(program.name);
        fs::write(&starter, starter_text(program))?;
        fs::set_permissions(&starter, Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn belongs(tool: &Tool, package: &Package) -> bool {
    tool.packages.contains(&package.name.as_str())
        || tool.dependencies.iter().any(|prefix| package.name.starts_with(prefix))
}

/// A shell script, so that people and other programs (grub-mkrescue starts xorriso) use it too.
fn starter_text(program: &Program) -> String {
    let mut text = String::from("#!/bin/sh\nroot=${0%/*}/../root\nexport PATH=\"${0%/*}:$PATH\"\n");
    for setting in program.environment {
        let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
        text += &format!("export {name}=\"{value}\"\n");
    }
    text += "libraries=$root/usr/lib/x86_64-linux-gnu\n";
    text += "exec \"$libraries/ld-linux-x86-64.so.2\" --library-path \"$libraries\" ";
    text += &format!("\"$root/usr/{}\"", program.file);
    for argument in program.arguments {
        text += &format!(" \"{argument}\"");
    }
    text + " \"$@\"\n"
}

/// Without apt the programs of the system will do; files have to be brought by hand.
fn without_apt(missing: &[&Tool], toolbox: &Path) -> Result<()> {
    let mut needs = Vec::new();
    for tool in missing {
        let folder = toolbox.join(tool.name);
        let absent: Vec<_> =
            tool.programs.iter().map(|p| p.name).filter(|name| on_path(name).is_none()).collect();
        if folder.join("root").exists() {
            complete(tool, &folder)?;
        } else if tool.programs.is_empty() {
            let (packages, suite) = (tool.packages.join(" "), tool.suite);
            needs.push(format!("unpack {packages} of Debian {suite} in {}/root", folder.display()));
        } else if !absent.is_empty() {
            needs.push(format!("install {}", absent.join(" ")));
        }
    }
    ensure!(needs.is_empty(), "not a Debian system with apt, so please {}", needs.join("; "));
    Ok(())
}

/// The file that a program's name stands for.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// `cargo xtask toolbox`: brings the tools named, or all of them, and lists their packages.
pub(crate) fn list(names: &[String], fetch: bool) -> Result<()> {
    let known = || ALL.map(|tool| tool.name).join(", ");
    let tools = if names.is_empty() {
        ALL.to_vec()
    } else {
        let find = |name: &String| {
            let tool = ALL.into_iter().find(|tool| tool.name == name.as_str());
            tool.with_context(|| format!("there is no tool {name:?}; there are {}", known()))
        };
        names.iter().map(find).collect::<Result<_>>()?
    };
    let toolbox = if fetch {
        Toolbox::ensure(&tools)?
    } else {
        Toolbox { folder: paths::target().join("toolbox") }
    };
    for tool in tools {
        let folder = toolbox.folder.join(tool.name);
        match fs::read_to_string(folder.join("PACKAGES")) {
            Ok(packages) => print!("{}: {}\n{packages}", tool.name, folder.display()),
            Err(_) if folder.exists() => println!("{}: {}", tool.name, folder.display()),
            Err(_) => println!("{}: not fetched", tool.name),
        }
    }
    Ok(())
}
