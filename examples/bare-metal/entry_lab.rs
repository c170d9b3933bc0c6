//! Enters VMCSs with something wrong in them in Bochs, and compares what it does with what the entry
//! checker says.

use std::path::Path;
use std::process::ExitCode;

use bare_metal::lab::{Judgement, LabRun, differences, of_model, run};

const HELP: &str = "\
Usage: entry-lab [MODEL [SEED [COUNT [FIRST]]]] [--cases] [--dry]

Enters COUNT cases of SEED, from FIRST on, on Bochs' MODEL of a processor, and prints what came of
them. --cases prints each; --dry makes them without entering. HVKIT_BOCHS may be the path of another
Bochs.
";
/// Names another Bochs than the one that is found.
const BOCHS: &str = "HVKIT_BOCHS";

fn main() -> ExitCode {
    let (flags, words): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|word| word.starts_with('-'));
    let number = |place: usize, default: u32| match words.get(place) {
        Some(word) => word.parse().ok(),
        None => Some(default),
    };
    let (Some(seed), Some(count), Some(first)) = (number(1, 1), number(2, 1000), number(3, 0))
    else {
        eprint!("{HELP}");
        return ExitCode::from(64);
    };
    if flags.iter().any(|flag| !["--cases", "--dry"].contains(&flag.as_str())) {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let dry = flags.iter().any(|flag| flag == "--dry");
    let bochs = std::env::var_os(BOCHS);
    let model = words.first().map_or("tigerlake", String::as_str);
    let report = match run(&LabRun {
        model,
        seed,
        first,
        count,
        dry,
        bochs: bochs.as_deref().map(Path::new),
    }) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("entry-lab: {error}");
            return ExitCode::from(69);
        }
    };
    report.remarks.iter().for_each(|remark| println!("{remark}"));
    if dry || flags.iter().any(|flag| flag == "--cases") {
        for (place, record) in report.records.iter().enumerate() {
            println!("{record} | {} | {:?}", record.changes_in_words(), report.log_of(place));
        }
    }
    let known = differences().unwrap_or_default();
    if !dry {
        print!("{}", Judgement::new(&report, &of_model(&known, model)));
    }
    ExitCode::SUCCESS
}
