//! A run of the lab's image.

use std::path::Path;
use std::time::Duration;

use bare_metal_image::Channel;
use bare_metal_image::lab::Record;

use crate::bochs::{self, Ended, Folder};
use crate::bundle::Files;
use crate::failure::Failure;
use crate::image;
use crate::options::{Options, Start};

/// What the image says last.
const END: &str = "end of the lab";
/// How much of Bochs' log a failure shows.
const LOG_LINES: usize = 12;
/// What an entry takes, changes and output included, with room to spare.
const TICKS_PER_CASE: u64 = 250_000;

/// What to enter, on which processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabRun<'a> {
    /// Bochs' model of the processor.
    pub model: &'a str,
    /// The seed of all cases.
    pub seed: u32,
    /// The number of the first case.
    pub first: u32,
    /// How many there are.
    pub count: u32,
    /// Whether they are only made, and not entered.
    pub dry: bool,
    /// Another Bochs than the one that is found. GRUB starts the lab there: Bochs 3.1 does not have
    /// the file in memory that the launcher's own ROM starts from.
    pub bochs: Option<&'a Path>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LabFailure(String);

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// All cases, in order.
    pub records: Vec<Record>,
    /// What else the image said.
    pub remarks: Vec<String>,
    /// The errors in Bochs' log, with the tick of each.
    pub log: Vec<(u64, String)>,
}

impl Report {
    /// Returns what Bochs logged of the case at this place among the records.
    #[must_use]
    pub fn log_of(&self, place: usize) -> &[(u64, String)] {
        let start = self.records.get(place).map_or(u64::MAX, |record| record.ticks);
        let end = self.records.get(place + 1).map_or(u64::MAX, |record| record.ticks);
        let from = self.log.partition_point(|(ticks, _)| *ticks < start);
        let to = self.log.partition_point(|(ticks, _)| *ticks < end);
        self.log.get(from..to).unwrap_or_default()
    }
}

/// Builds the image and runs it in Bochs.
///
/// # Errors
/// [`LabFailure`] if it can't be run, or does not come to its end.
pub fn run(lab: &LabRun<'_>) -> Result<Report, LabFailure> {
    let failed = |error: Failure| LabFailure(error.to_string());
    let image = image::build("entry-lab").map_err(failed)?;
    let LabRun { model, seed, first, count, dry, bochs } = *lab;
    let files = Files {
        modules: Vec::new(),
        own_line: format!("seed={seed} first={first} count={count} dry={}", u32::from(dry)),
        host_bytes: 64 << 20,
    };
    let options = Options {
        cpu_model: model.to_owned(),
        max_ticks: Some(100_000_000 + TICKS_PER_CASE * u64::from(count)),
        timeout: Some(Duration::from_secs(1800)),
        bochs: bochs.map(Path::to_owned),
        boot: if bochs.is_some() { Start::Grub } else { Start::Rom },
        ..Options::default()
    };
    let folder = Folder::new().map_err(failed)?;
    let mut said = Vec::new();
    let ended = bochs::run_in(&folder, &image, &files, &options, |channel, bytes| {
        if channel == Channel::Message {
            said.extend_from_slice(bytes);
        }
    });
    let mut report = Report::default();
    let said = String::from_utf8_lossy(&said);
    let mut has_end = false;
    for line in said.lines() {
        match Record::parse(line) {
            Some(record) => report.records.push(record),
            None if line == END => has_end = true,
            // Where Bochs' debugger says that the processor is.
            None if line.starts_with("(0).[") => {}
            None => report.remarks.push(line.to_owned()),
        }
    }
    let log = folder.log();
    report.log = log.lines().filter_map(log_line).collect();
    let remarks = report.remarks.join("; ");
    let last = || {
        let record = report.records.last().map_or(first, |record| record.number);
        let lines: Vec<_> = log.lines().rev().take(LOG_LINES).collect();
        format!("the last case was {record}; {}; Bochs' log, last line first: {lines:#?}", remarks)
    };
    match ended {
        Ok(Ended::Status(0)) if has_end => Ok(report),
        Ok(other) => Err(LabFailure(format!("the lab ended with {other:?}; {}", last()))),
        // What Bochs logged of all cases is not what ended it.
        Err(_) => Err(LabFailure(format!("Bochs ended; {}", last()))),
    }
}

/// Reads a line such as `00012345678e[CPU0  ] VMENTER FAIL: why`.
fn log_line(line: &str) -> Option<(u64, String)> {
    let (clock, text) = line.split_once('[')?;
    let ticks = clock.strip_suffix('e')?.parse().ok()?;
    Some((ticks, text.split_once("] ")?.1.to_owned()))
}
