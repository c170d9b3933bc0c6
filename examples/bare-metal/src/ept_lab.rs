//! A run of the EPT lab's image, and what it says.

use std::time::Duration;

use bare_metal_image::Channel;

use crate::bochs::{self, Ended, Folder};
use crate::bundle::Files;
use crate::failure::Failure;
use crate::image;
use crate::options::Options;

/// What the image says last.
const END: &str = "end of the lab";
const MOST_TICKS: u64 = 2_000_000_000;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct EptLabFailure(String);

/// What came of the cases of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// What they have in common.
    pub name: String,
    /// Whether the processor sets accessed and dirty flags.
    pub has_flags: bool,
    /// How many were judged.
    pub cases: u32,
    /// How many came out otherwise than predicted.
    pub differences: u32,
    /// How many were not tried, since the access would have gone anywhere.
    pub left_out: u32,
}

/// What the lab said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The classes of cases, in order.
    pub classes: Vec<Class>,
    /// All else.
    pub remarks: Vec<String>,
}

/// Builds the image and runs it on a model of a processor in Bochs.
///
/// # Errors
/// [`EptLabFailure`] if it can't be run, or does not come to its end.
pub fn run(model: &str) -> Result<Report, EptLabFailure> {
    let failed = |error: Failure| EptLabFailure(error.to_string());
    let image = image::build("ept-lab").map_err(failed)?;
    let files = Files { modules: Vec::new(), own_line: String::new(), host_bytes: 64 << 20 };
    let options = Options {
        cpu_model: model.to_owned(),
        max_ticks: Some(MOST_TICKS),
        timeout: Some(Duration::from_secs(600)),
        ..Options::default()
    };
    let mut said = Vec::new();
    let folder = Folder::new().map_err(failed)?;
    let ended = bochs::run_in(&folder, &image, &files, &options, |channel, bytes| {
        if channel == Channel::Message {
            said.extend_from_slice(bytes);
        }
    });
    let said = String::from_utf8_lossy(&said);
    match ended.map_err(failed)? {
        Ended::Status(0) if said.lines().any(|line| line == END) => Ok(Report::parse(&said)),
        other => Err(EptLabFailure(format!("the lab ended with {other:?}: {said}"))),
    }
}

impl Report {
    fn parse(said: &str) -> Self {
        let mut report = Self::default();
        let mut has_flags = false;
        for line in said.lines().filter(|line| *line != END) {
            match line.strip_prefix("class ").and_then(|line| Class::parse(line, has_flags)) {
                Some(class) => report.classes.push(class),
                None => {
                    if let Some(controls) = line.strip_prefix("controls ") {
                        has_flags = controls.contains("ACCESSED_DIRTY");
                    }
                    report.remarks.push(line.to_owned());
                }
            }
        }
        report
    }
}

impl Class {
    /// Reads a line such as `holes: 18 cases, 0 differences, 0 left out`.
    fn parse(line: &str, has_flags: bool) -> Option<Self> {
        let (name, counts) = line.split_once(": ")?;
        let mut counts = counts.split(", ").map(|count| {
            let (number, _) = count.split_once(' ')?;
            number.parse().ok()
        });
        let mut count = || counts.next().flatten();
        let (cases, differences, left_out) = (count()?, count()?, count()?);
        Some(Self { name: name.to_owned(), has_flags, cases, differences, left_out })
    }
}
