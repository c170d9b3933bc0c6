//! The command line.

use std::path::PathBuf;

use lexopt::{Arg, Parser};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Says what a kernel or firmware image is, every way to start it, and why the other ways won't do.

Usage: identify [OPTIONS] FILE...

Options:
  --json      print an array with an object for each file
  -h, --help  print this

Exit status: 0 each file can be started, or what is compressed inside it; 64 usage; 65 a file can't
be started; 66 a file can't be read.
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) json: bool,
}

/// Reads the command line; `None` if it asks for help.
pub(crate) fn parse(mut parser: Parser) -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { files: Vec::new(), json: false };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("json") => options.json = true,
            Arg::Value(file) => options.files.push(file.into()),
            other => return Err(other.unexpected()),
        }
    }
    if options.files.is_empty() {
        return Err("which file?".into());
    }
    Ok(Some(options))
}
