//! Bochs' models of processors, by name.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::Failure;

/// What Bochs prints before the list.
const TITLE: &str = "Supported CPU models:";

/// Returns Bochs' name of the model `wanted`: that is its name, or a part of no other.
pub(crate) fn find(bochs: &Path, wanted: &str) -> Result<String, Failure> {
    let output = Command::new(bochs)
        .args(["--help", "cpu"])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::Tool(format!("{}: {error}", bochs.display())))?;
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    // A Bochs that lists none may know the model all the same.
    match models(&printed) {
        models if models.is_empty() => Ok(wanted.to_owned()),
        models => choose(&models, wanted).map(str::to_owned),
    }
}

fn models(printed: &str) -> Vec<&str> {
    let list = printed.lines().map(str::trim).skip_while(|line| *line != TITLE).skip(1);
    list.skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty()).collect()
}

fn choose<'m>(models: &[&'m str], wanted: &str) -> Result<&'m str, Failure> {
    let like: Vec<_> = models.iter().copied().filter(|model| model.contains(wanted)).collect();
    match (models.iter().find(|model| **model == wanted), like.as_slice()) {
        (Some(model), _) | (None, [model]) => Ok(model),
        (None, []) => Err(Failure::Usage(format!(
            "--cpu-model {wanted}: Bochs has no such model, but {}",
            models.join(", ")
        ))),
        (None, several) => {
            Err(Failure::Usage(format!("--cpu-model {wanted}: which of {}?", several.join(", "))))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const PRINTED: &str = "0000i[      ] a line of the log
Supported CPU models:

core2_penryn_t9600
corei7_haswell_4770
tigerlake
ryzen
ryzen_2

0000i[SIM   ] quit_sim
";

    #[test]
    fn a_part_of_one_name_is_enough() {
        let models = models(PRINTED);
        assert_eq!(models.len(), 5);
        assert_eq!(choose(&models, "haswell").unwrap(), "corei7_haswell_4770");
        assert_eq!(choose(&models, "ryzen").unwrap(), "ryzen");
        let said = |wanted| choose(&models, wanted).unwrap_err().to_string();
        assert_eq!(
            said("core"),
            "--cpu-model core: which of core2_penryn_t9600, corei7_haswell_4770?"
        );
        assert!(said("athlon").contains("no such model, but core2_penryn_t9600, "));
    }

    #[test]
    fn a_bochs_that_lists_none_is_left_to_judge() {
        assert!(models("usage: bochs [options]").is_empty());
    }
}
