//! Has a guest in Bochs access pages through extended page tables of all kinds, and compares what the
//! processor does with what the crate ept says.

use std::process::ExitCode;

use bare_metal::ept_lab::run;

fn main() -> ExitCode {
    let model = std::env::args().nth(1).unwrap_or_else(|| "tigerlake".to_owned());
    if model.starts_with('-') {
        println!("Usage: ept-lab [MODEL]\n\nMODEL is one of Bochs' processors, such as haswell.");
        return ExitCode::SUCCESS;
    }
    match run(&model) {
        Ok(report) => {
            report.remarks.iter().for_each(|remark| println!("{remark}"));
            for class in &report.classes {
                println!("{class:?}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ept-lab: {error}");
            ExitCode::from(69)
        }
    }
}
