//! Where gdb is waited for, and the bytes to and from it.

use std::collections::VecDeque;
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use crate::options::GdbAddress;

/// How long gdb may take to read what it is sent.
const PATIENCE: Duration = Duration::from_secs(10);

/// A socket on which gdb is waited for.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    /// The socket's file goes when this does.
    Unix(UnixListener, PathBuf),
}

impl Listener {
    pub(super) fn new(address: &GdbAddress) -> io::Result<Self> {
        Ok(match address {
            GdbAddress::Tcp(address) => Self::Tcp(TcpListener::bind(address)?),
            GdbAddress::Unix(path) => {
                // A run that was killed leaves its socket behind.
                if fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket()) {
                    fs::remove_file(path)?;
                }
                Self::Unix(UnixListener::bind(path)?, path.clone())
            }
        })
    }

    /// Takes the connection that is there.
    pub(super) fn accept(&self) -> io::Result<Connection> {
        let fd: OwnedFd = match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(PATIENCE))?;
                stream.into()
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept()?;
                stream.set_write_timeout(Some(PATIENCE))?;
                stream.into()
            }
        };
        Ok(Connection { fd, output: Vec::new(), input: VecDeque::new() })
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener, _) => listener.as_fd(),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            let _ = fs::remove_file(path);
        }
    }
}

/// What to type into gdb.
impl Display for Listener {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "target remote {address}"),
                Err(_) => write!(f, "target remote"),
            },
            Self::Unix(_, path) => write!(f, "target remote {}", path.display()),
        }
    }
}

/// The connection to gdb.
#[derive(Debug)]
pub(super) struct Connection {
    fd: OwnedFd,
    output: Vec<u8>,
    input: VecDeque<u8>,
}

impl Connection {
    /// Takes the next byte of those that were read.
    pub(super) fn next(&mut self) -> Option<u8> {
        self.input.pop_front()
    }

    pub(super) fn has_next(&self) -> bool {
        !self.input.is_empty()
    }

    /// Reads what is there; waits if there is nothing. False if gdb has closed the connection.
    pub(super) fn read(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 4096];
        match rustix::io::read(&self.fd, &mut bytes) {
            Ok(length) => {
                self.input.extend(&bytes[..length]);
                Ok(length > 0)
            }
            Err(rustix::io::Errno::INTR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends the OK that gdb waits for once it has killed the guest; the crate sends none.
    pub(super) fn confirm(&mut self) {
        self.output.extend_from_slice(b"$OK#9a");
        // Whoever kills may be gone before he is heard.
        let _ = gdbstub::conn::Connection::flush(self);
    }

    /// Returns a second handle of it.
    pub(super) fn handle(&self) -> io::Result<OwnedFd> {
        self.fd.try_clone()
    }
}

impl gdbstub::conn::Connection for Connection {
    type Error = io::Error;

    fn write(&mut self, byte: u8) -> io::Result<()> {
        self.output.push(byte);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut rest = self.output.as_slice();
        while !rest.is_empty() {
            match rustix::io::write(&self.fd, rest) {
                Ok(length) => rest = rest.get(length..).unwrap_or_default(),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => {
                    return Err(io::Error::new(ErrorKind::TimedOut, "gdb reads nothing"));
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.output.clear();
        Ok(())
    }
}
