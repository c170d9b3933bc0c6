//! The command line.

use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Says which rule of a VM entry a VMCS breaks.

Usage: vmcs-doctor [OPTIONS] FILE|-
       vmcs-doctor NUMBER|RULE

FILE is a text with a VMCS in it, - reads it from standard input:
  - the kernel's log with KVM's dump (kvm_intel.dump_invalid_vmcs=1), with or without timestamps
  - Xen's console log with its dump
  - lines of FIELD = 0xVALUE
Of several dumps the last one is looked at.

NUMBER is an error number of VMLAUNCH and VMRESUME (7, say) or an exit reason (0x80000021) to be
explained; RULE is the name of a rule (S12).

Options:
  --caps MODEL|FILE   the processor's capabilities: a known model, or a file with its MSRs. Without
                      them the rules that depend on the processor are not checked
  --models            list the known models
  -h, --help          print this

Exit status: 0 no rule is broken, 1 a rule is broken, 64 usage, 65 no VMCS in the file, 66 the file
can't be read.
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// What to do.
    pub(crate) request: Request,
    /// `--caps`.
    pub(crate) caps: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Check the VMCS in a text.
    Check(Source),
    /// Explain a number or a rule.
    Explain(String),
    /// List the known models.
    Models,
}

/// Where a text comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Stdin,
    File(PathBuf),
}

impl Source {
    /// Returns what messages call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// Reads the command line; `None` if it asks for help.
pub(crate) fn parse(mut parser: Parser) -> Result<Option<Options>, lexopt::Error> {
    let mut caps = None;
    let mut request = None;
    while let Some(argument) = parser.next()? {
        let asked = match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("caps") => {
                caps = Some(parser.value()?.string()?);
                continue;
            }
            Arg::Long("models") => Request::Models,
            Arg::Value(value) if value == "-" => Request::Check(Source::Stdin),
            Arg::Value(value) => match value.to_str() {
                Some(text) if crate::explain(text).is_some() => Request::Explain(text.to_owned()),
                _ => Request::Check(Source::File(value.into())),
            },
            other => return Err(other.unexpected()),
        };
        if request.replace(asked).is_some() {
            return Err("one file, number or rule at a time".into());
        }
    }
    match request {
        Some(request) => Ok(Some(Options { request, caps })),
        None => Err("no file, number or rule is given".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Option<Options>, lexopt::Error> {
        super::parse(Parser::from_args(arguments))
    }

    #[test]
    fn a_number_a_rule_and_a_file_are_told_apart() {
        let request = |argument| parse(&[argument]).unwrap().unwrap().request;
        assert_eq!(request("7"), Request::Explain("7".to_owned()));
        assert_eq!(request("0x80000021"), Request::Explain("0x80000021".to_owned()));
        assert_eq!(request("S12"), Request::Explain("S12".to_owned()));
        assert_eq!(request("-"), Request::Check(Source::Stdin));
        assert_eq!(request("S12.txt"), Request::Check(Source::File("S12.txt".into())));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(parse(&[]).is_err());
        assert!(parse(&["a", "b"]).is_err());
        assert!(parse(&["--nothing"]).is_err());
        assert!(parse(&["a", "--caps"]).is_err());
        assert_eq!(parse(&["--help", "--nothing"]).unwrap(), None);
    }
}
