//! Options for those who watch a guest.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Debugging {
    /// `--trace-exits`.
    pub trace_exits: Option<TraceTo>,
    /// `--gdb`.
    pub gdb: Option<GdbAddress>,
}

/// Where a trace goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TraceTo {
    /// To standard error.
    Stderr,
    /// To this file.
    File(PathBuf),
}

/// Where gdb is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GdbAddress {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl Debugging {
    /// Takes the option `name` if it is one of these; tells whether it is.
    pub(super) fn take(
        &mut self,
        name: &str,
        value: &mut dyn FnMut() -> Result<OsString, String>,
    ) -> Result<bool, String> {
        match name {
            "trace-exits" => {
                let value = value()?;
                self.trace_exits = Some(match value.to_str() {
                    Some("-") => TraceTo::Stderr,
                    _ => TraceTo::File(value.into()),
                });
            }
            "gdb" => {
                let value = value()?;
                self.gdb = Some(value.to_str().and_then(gdb_address).ok_or_else(|| {
                    let value = value.display();
                    format!("--gdb {value}: neither ADDRESS:PORT, :PORT nor unix:PATH")
                })?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Names are not looked up: whoever listens where strangers can reach it says so by number.
fn gdb_address(text: &str) -> Option<GdbAddress> {
    if let Some(path) = text.strip_prefix("unix:") {
        return (!path.is_empty()).then(|| GdbAddress::Unix(path.into()));
    }
    let local = text.strip_prefix("localhost").unwrap_or(text).strip_prefix(':');
    let address = match local {
        Some(port) => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port.parse().ok()?),
        None => text.parse().ok()?,
    };
    Some(GdbAddress::Tcp(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_address_gdb_is_waited_for_on_this_machine_alone() {
        let tcp = |text: &str| Some(GdbAddress::Tcp(text.parse().unwrap()));
        assert_eq!(gdb_address(":1234"), tcp("127.0.0.1:1234"));
        assert_eq!(gdb_address("localhost:1234"), tcp("127.0.0.1:1234"));
        assert_eq!(gdb_address("0.0.0.0:1"), tcp("0.0.0.0:1"));
        assert_eq!(gdb_address("[::1]:1"), tcp("[::1]:1"));
        assert_eq!(gdb_address("unix:a:b"), Some(GdbAddress::Unix("a:b".into())));
        for wrong in ["", ":", ":65536", "1234", "host:1", "unix:", "::1:x", "127.0.0.1"] {
            assert_eq!(gdb_address(wrong), None, "{wrong}");
        }
    }
}
