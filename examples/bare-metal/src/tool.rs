//! Programs that the project's toolbox brings.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::image::{target_folder, workspace};

/// Finds a program of the tool `tool`, by any of its `names`: in the toolbox, on the system, or in
/// the toolbox once that has brought it.
pub(crate) fn find(tool: &str, names: &[&str]) -> Result<PathBuf, Failure> {
    let in_toolbox = || {
        let folder = target_folder().join("toolbox").join(tool).join("bin");
        names.iter().map(|name| folder.join(name)).find(|file| file.exists())
    };
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = |name: &&str| {
        env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
    };
    if let Some(program) = in_toolbox().or_else(|| names.iter().find_map(on_path)) {
        return Ok(program);
    }
    eprintln!("bare-metal: fetching {tool} for this project; nothing is installed");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(workspace())
        .args(["xtask", "toolbox", tool])
        .stdout(Stdio::null())
        .status();
    let fetched = status.is_ok_and(|status| status.success());
    in_toolbox()
        .filter(|_| fetched)
        .ok_or_else(|| Failure::Tool(format!("no {}: install {tool}", names.join(" or "))))
}
