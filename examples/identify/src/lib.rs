#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod image;
mod json;
mod options;
mod text;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use image::Image;
use options::{HELP, Options};

/// Exit status: the command line is wrong.
const USAGE: u8 = 64;
/// Exit status: a file can't be started.
const BAD_IMAGE: u8 = 65;
/// Exit status: a file can't be read.
const NO_FILE: u8 = 66;
/// Exit status: the output can't be written.
const CANT_CREATE: u8 = 73;

/// What is wrong with a file, in the order of what the exit status tells first.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{}: no way to start it", .0.display())]
    NoWay(PathBuf),
    #[error("{}: {}", path.display(), .error)]
    Read { path: PathBuf, error: io::Error },
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let (text, status) = match options::parse(lexopt::Parser::from_env()) {
        Ok(None) => (HELP.to_owned(), ExitCode::SUCCESS),
        Ok(Some(options)) => run(&options),
        Err(error) => {
            eprintln!("identify: {error}; try --help");
            return ExitCode::from(USAGE);
        }
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("identify: {error}");
            ExitCode::from(CANT_CREATE)
        }
        _ => status,
    }
}

/// Describes every file that can be read; complaints go to standard error.
fn run(options: &Options) -> (String, ExitCode) {
    let (mut text, mut values, mut worst) = (String::new(), Vec::new(), 0);
    for path in &options.files {
        let image = match Image::read(path) {
            Ok(image) => image,
            Err(error) => {
                worst = worst.max(NO_FILE);
                eprintln!("identify: {}", Failure::Read { path: path.clone(), error });
                continue;
            }
        };
        let name = path.display().to_string();
        if options.json {
            let mut value = json::describe(&image);
            value["file"] = name.into();
            values.push(value);
        } else {
            text += &text::describe(&name, &image, 0);
        }
        if !image.can_start() {
            worst = worst.max(BAD_IMAGE);
            eprintln!("identify: {}", Failure::NoWay(path.clone()));
        }
    }
    if options.json {
        text = format!("{:#}\n", Value::from(values));
    }
    (text, ExitCode::from(worst))
}
