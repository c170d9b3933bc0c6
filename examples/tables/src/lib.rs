#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod dump;
mod options;

use std::error::Error as _;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, iter};

use boot_plan::MemoryMap;
use guest_state::Gpa;
use machine::Tables;

pub use dump::{Dump, DumpError, Table};

use options::{HELP, Options, Task};

/// Exit status: the command line is wrong.
const USAGE: u8 = 64;
/// Exit status: tables of a guest break a rule.
const BROKEN: u8 = 1;
/// Exit status: a file can't be read, or is no guest's console.
const NO_INPUT: u8 = 66;
/// Exit status: a file can't be written.
const CANT_CREATE: u8 = 73;

/// Why it ends early.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}; try --help")]
    Usage(lexopt::Error),
    #[error("there is no such machine")]
    Machine(#[from] machine::Error),
    #[error("can't write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("can't read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not what a guest prints of its tables", path.display())]
    Dump { path: PathBuf, source: DumpError },
}

/// A table in a file of its own.
struct File {
    name: String,
    bytes: Vec<u8>,
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let (text, status) = match run() {
        Ok(done) => done,
        Err(failure) => {
            let causes = iter::successors(failure.source(), |&cause| cause.source());
            let causes = causes.fold(String::new(), |text, cause| format!("{text}: {cause}"));
            eprintln!("tables: {failure}{causes}");
            return ExitCode::from(match failure {
                Failure::Write { .. } => CANT_CREATE,
                Failure::Read { .. } | Failure::Dump { .. } => NO_INPUT,
                Failure::Usage(_) | Failure::Machine(_) => USAGE,
            });
        }
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("tables: {error}");
            ExitCode::from(CANT_CREATE)
        }
        _ => status,
    }
}

/// Does what the command line asks for; returns what to print, and the status.
fn run() -> Result<(String, ExitCode), Failure> {
    match options::parse(lexopt::Parser::from_env()).map_err(Failure::Usage)? {
        Task::Help => Ok((HELP.to_owned(), ExitCode::SUCCESS)),
        Task::Print(options) => Ok((print(options)?, ExitCode::SUCCESS)),
        Task::Check(path) => check(&path),
    }
}

/// Says what is wrong with the tables that a guest printed.
fn check(path: &Path) -> Result<(String, ExitCode), Failure> {
    let console = fs::read(path);
    let console = console.map_err(|source| Failure::Read { path: path.to_owned(), source })?;
    let dump = Dump::read(&String::from_utf8_lossy(&console));
    let dump = dump.map_err(|source| Failure::Dump { path: path.to_owned(), source })?;
    let findings = dump.findings();
    let mut text = format!("{} tables, {} findings\n", dump.tables.len(), findings.len());
    findings.iter().for_each(|finding| text.extend([finding, "\n"]));
    let status = if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) };
    Ok((text, status))
}

fn print(options: Options) -> Result<String, Failure> {
    let Options { cpus, memory_bytes, place, out } = options;
    let memory = MemoryMap::pc(memory_bytes).map_err(machine::Error::from)?;
    let tables = Tables::new(cpus, &memory)?;
    let acpi = acpi_files(&tables, place)?;
    let mut text = format!("ACPI tables of a machine with {cpus} CPUs\n");
    for File { name, bytes } in &acpi {
        let _ = writeln!(text, "  {name:<10} {:>6} bytes", bytes.len());
    }
    let _ = write!(text, "\n{}", smbios_builder::print(tables.smbios.table()));
    if let Some(folder) = out {
        let bytes = tables.smbios.dump().map_err(machine::Error::from)?;
        let smbios = File { name: "smbios.bin".to_owned(), bytes };
        for file in acpi.into_iter().chain(iter::once(smbios)) {
            write(&folder, &file)?;
        }
    }
    Ok(text)
}

/// Takes the set apart. Of tables with one name, the later ones are numbered.
fn acpi_files(tables: &Tables, place: Gpa) -> Result<Vec<File>, machine::Error> {
    let placed = tables.acpi.at(place)?;
    let mut files = vec![File { name: "rsdp.dat".to_owned(), bytes: placed.rsdp }];
    for entry in tables.acpi.entries() {
        let name = entry.signature.to_string().trim_end().to_lowercase();
        let earlier = files.iter().filter(|file| file.name.starts_with(&name)).count();
        let number = if earlier == 0 { String::new() } else { earlier.to_string() };
        let (start, size) = (entry.offset as usize, entry.size_bytes as usize);
        let bytes = placed.tables.get(start..start + size).unwrap_or_default().to_vec();
        files.push(File { name: format!("{name}{number}.dat"), bytes });
    }
    Ok(files)
}

fn write(folder: &Path, file: &File) -> Result<(), Failure> {
    let path = folder.join(&file.name);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, &file.bytes));
    written.map_err(|source| Failure::Write { path, source })
}
