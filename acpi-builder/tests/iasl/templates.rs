//! The compiler's own templates, held against what the validator knows of lengths.

use std::fs;

use acpi_builder::{Rule, Validator};

use crate::tool::{folder, run};

#[test]
fn templates_of_all_tables_have_lengths_that_are_known() {
    let folder = folder("iasl-templates");
    run("HVKIT_IASL", &["-T", "ALL"], &folder);
    let mut known = 0;
    for file in fs::read_dir(&folder).unwrap() {
        let source = file.unwrap().path();
        let name = source.file_stem().unwrap().to_string_lossy().into_owned();
        // They have headers of their own.
        if ["facs", "rsdp", "s3pt"].contains(&name.as_str()) {
            continue;
        }
        let program = std::env::var("HVKIT_IASL").unwrap();
        let arguments = ["-oa", source.to_str().unwrap()];
        let output = std::process::Command::new(program)
            .args(arguments)
            .current_dir(&folder)
            .output()
            .unwrap();
        // Some of its own templates the compiler refuses.
        let Ok(table) = fs::read(source.with_extension("aml")) else { continue };
        assert!(!output.stdout.is_empty());
        let rules = [Rule::TableLength, Rule::TableChecksum, Rule::TableSize, Rule::EntryLength];
        let findings = Validator::new().validate_tables(&[&table]);
        let wrong: Vec<_> = findings.iter().filter(|it| rules.contains(&it.rule)).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
        known += 1;
    }
    assert!(known > 50, "{known} templates");
}
