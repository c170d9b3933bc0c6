//! Debian packages of a pinned suite, found and checked by apt, beside the system's own.
//!
//! Apt gets a configuration, index and status of its own, so neither the system's packages nor its
//! package lists are touched, and no rights are needed. Versions are not pinned: Debian's servers
//! keep only the current one of each suite.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::process;

/// Debian's signing keys, as every Debian system has them.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One suite's index, in a folder of its own.
#[derive(Debug)]
pub(crate) struct Apt {
    configuration: PathBuf,
}

/// A package that apt would install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    /// For example `libc6`.
    pub(crate) name: String,
    /// For example `1:1.37.0-6+b9`.
    pub(crate) version: String,
    /// The name of its file, which apt chooses.
    pub(crate) file: String,
    /// Its size in bytes.
    pub(crate) size_bytes: u64,
}

/// Whether this is a Debian system with apt and dpkg.
pub(crate) fn is_usable() -> bool {
    let on_path = |program: &str| crate::toolbox::on_path(program).is_some();
    release_field("ID").as_deref() == Some("debian") && on_path("apt-get") && on_path("dpkg")
}

/// A field of os-release, without its quotes.
fn release_field(name: &str) -> Option<String> {
    let release = fs::read_to_string("/etc/os-release").ok()?;
    let value = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches('"').to_owned())
}

impl Apt {
    /// Fetches the index of `suite` into `folder`, which is made.
    pub(crate) fn open(folder: &Path, suite: &str) -> Result<Self> {
        let mirror = mirror()?;
        fs::create_dir_all(folder.join("lists/partial"))?;
        fs::create_dir_all(folder.join("cache/archives/partial"))?;
        fs::write(folder.join("status"), "")?;
        let signed_by =
            if Path::new(KEYS).exists() { format!("signed-by={KEYS} ") } else { String::new() };
        fs::write(
            folder.join("sources.list"),
            format!("deb [{signed_by}target=Packages] {mirror} {suite} main\n"),
        )?;
        let apt = Self { configuration: folder.join("apt.conf") };
        fs::write(&apt.configuration, configuration(folder))?;
        process::output(apt.get().arg("update"))
            .with_context(|| format!("cannot fetch the package index of Debian {suite}"))?;
        Ok(apt)
    }

    fn get(&self) -> Command {
        let mut command = process::command("apt-get");
        command.arg("-qq").arg("-c").arg(&self.configuration).env("LC_ALL", "C");
        command
    }

    /// What installing `packages` on an empty system would bring, without what they recommend.
    pub(crate) fn solve(&self, packages: &[&str]) -> Result<Vec<Package>> {
        let printed =
            process::output(self.get().args(["install", "-y", "--print-uris"]).args(packages))?;
        printed.lines().filter(|line| line.starts_with('\'')).map(parse_uri_line).collect()
    }

    /// Downloads `packages` into `folder`. Apt checks them against the signed index.
    pub(crate) fn download(&self, packages: &[&Package], folder: &Path) -> Result<()> {
        let wanted = packages.iter().map(|p| format!("{}={}", p.name, p.version));
        process::output(self.get().arg("download").args(wanted).current_dir(folder))?;
        for package in packages {
            let path = folder.join(&package.file);
            ensure!(path.exists(), "apt-get did not write {}", path.display());
        }
        Ok(())
    }
}

/// Unpacks a package file into `root`; nothing of it is run.
pub(crate) fn unpack(file: &Path, root: &Path) -> Result<()> {
    process::output(process::command("dpkg").arg("-x").args([file, root]))?;
    Ok(())
}

/// The SHA-256 of each file, in order, as hex.
pub(crate) fn sha256(files: &[PathBuf]) -> Result<Vec<String>> {
    let printed = process::output(process::command("sha256sum").arg("--").args(files))?;
    // A backslash marks a line whose file name is escaped; package files have no such names.
    let digest = |line: &str| line.split_whitespace().next().map(str::to_owned);
    let digests: Vec<_> = printed.lines().filter_map(digest).collect();
    ensure!(digests.len() == files.len(), "sha256sum printed {} lines", digests.len());
    Ok(digests)
}

/// The address that the system itself gets Debian from, whatever form its configuration has.
fn mirror() -> Result<String> {
    let printed = process::output(
        process::command("apt-get").args(["update", "--print-uris"]).stderr(Stdio::null()),
    )?;
    let codename = release_field("VERSION_CODENAME").unwrap_or_default();
    match choose_mirror(&printed, &codename) {
        Some(mirror) => Ok(mirror.to_owned()),
        None => bail!("apt's configuration names no Debian server"),
    }
}

/// The server of the system's own release, or else the first one.
fn choose_mirror<'a>(printed: &'a str, codename: &str) -> Option<&'a str> {
    let servers =
        || printed.lines().filter_map(|line| line.strip_prefix('\'')?.split_once("/dists/"));
    servers()
        .find(|(_, rest)| rest.split('/').next() == Some(codename))
        .or_else(|| servers().next())
        .map(|(server, _)| server)
}

fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        r#"Dir::Etc::SourceList "{folder}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "{folder}";
Dir::State::Lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Acquire::Languages "none";
Acquire::Retries "3";
APT::Install-Recommends "false";
// The user that apt downloads as may not write here.
APT::Sandbox::User "root";
// What the system does after its own updates is not for this one.
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"#
    )
}

/// Reads a line such as `'http://…' busybox-static_1%3a1.37.0-6+b9_amd64.deb 955316 MD5Sum:…`.
fn parse_uri_line(line: &str) -> Result<Package> {
    let parse = || {
        let mut words = line.split(' ').skip(1);
        let (file, size) = (words.next()?, words.next()?);
        let mut parts = file.split('_');
        let (name, version) = (parts.next()?, parts.next()?);
        Some(Package {
            name: name.to_owned(),
            version: version.replace("%3a", ":"),
            file: file.to_owned(),
            size_bytes: size.parse().ok()?,
        })
    };
    parse().with_context(|| format!("not a line of apt-get --print-uris: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_in_a_file_name_becomes_part_of_the_version() {
        let line = "'http://x/busybox-static_1.37.0-6%2bb9_amd64.deb' \
                    busybox-static_1%3a1.37.0-6+b9_amd64.deb 955316 MD5Sum:608b";
        let package = parse_uri_line(line).unwrap();
        assert_eq!(package.name, "busybox-static");
        assert_eq!(package.version, "1:1.37.0-6+b9");
        assert_eq!(package.size_bytes, 955_316);
        assert!(parse_uri_line("'http://x/y' nonsense").is_err());
    }

    #[test]
    fn the_server_of_the_own_release_is_chosen_over_others() {
        let printed = "'https://other/dists/stable/InRelease' a 0\n\
                       'http://own/debian/dists/bookworm/InRelease' b 0\n\
                       'http://sec/debian/dists/bookworm-security/InRelease' c 0\n";
        assert_eq!(choose_mirror(printed, "bookworm"), Some("http://own/debian"));
        assert_eq!(choose_mirror(printed, "sid"), Some("https://other"));
        assert_eq!(choose_mirror("", "sid"), None);
    }
}
