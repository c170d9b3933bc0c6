//! What ends a run early, and the exit status of everything.

use std::io;
use std::path::PathBuf;

/// Why a guest was not run to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Failure {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The machine can't be built: memory, kernel, initrd or firmware.
    #[error("{0}")]
    Image(String),
    /// A file can't be read.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// No firmware of this name is installed.
    #[error("{name} is not installed: looked at {places}; give its file, or install it")]
    NotInstalled {
        /// What was asked for.
        name: &'static str,
        /// Where it was looked for.
        places: String,
    },
    /// `/dev/kvm` can't be used.
    #[error("/dev/kvm: {0}")]
    NoKvm(String),
    /// KVM refused something that it should not.
    #[error("KVM: {what}: {error}")]
    Kvm {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        error: kvm_ioctls::Error,
    },
    /// The host refused something else.
    #[error("{what}: {error}")]
    Host {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        error: io::Error,
    },
}

impl Failure {
    /// Returns the exit status, as `--help` lists it.
    #[must_use]
    pub(crate) const fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::Image(_) => 65,
            Self::File { .. } | Self::NotInstalled { .. } => 66,
            Self::NoKvm(_) | Self::Kvm { .. } | Self::Host { .. } => 69,
        }
    }

    /// Makes the error of a machine that can't be built; `name` is what it is about.
    pub(crate) fn image(name: &str, error: &dyn std::error::Error) -> Self {
        Self::Image(format!("{name}: {}", in_full(error)))
    }

    /// Makes the error of a KVM call that does `what`.
    pub(crate) fn kvm(what: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> Self {
        move |error| Self::Kvm { what, error }
    }

    /// Makes the error of a host call that does `what`.
    pub(crate) fn host<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Host { what, error: error.into() }
    }
}

/// An error with all its causes, in one line.
pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// How a guest ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It powered off.
    PowerOff,
    /// It wrote to the debug exit port; this is the status.
    Exit(u8),
    /// It reset.
    Reset,
    /// It crashed; what is known has been printed.
    Crash,
    /// Its time was up.
    Timeout,
    /// A signal ended the program.
    Signal(u8),
    /// gdb ended the guest.
    Killed,
    /// Somebody writes to a file whose pages are the guest's, and it could not get copies of them.
    FileTaken,
}

impl Outcome {
    /// Returns the exit status, as `--help` lists it.
    #[must_use]
    pub(crate) const fn status(self) -> u8 {
        match self {
            Self::PowerOff => 0,
            Self::Exit(status) => status,
            Self::Reset => 80,
            Self::Crash | Self::FileTaken => 70,
            Self::Timeout => 124,
            Self::Signal(number) => 128_u8.wrapping_add(number),
            Self::Killed => 128 + 9,
        }
    }

    /// Says what happened, where an exit status alone would leave one wondering.
    #[must_use]
    pub(crate) fn message(self) -> Option<String> {
        Some(match self {
            Self::PowerOff => return None,
            Self::Exit(status) => {
                format!("the guest wrote {:#x} to the debug exit port F4h", status >> 1)
            }
            Self::Reset => "the guest reset, and --on-reset exit was given".to_owned(),
            Self::Crash => "the guest crashed".to_owned(),
            Self::Timeout => "the guest's time is up".to_owned(),
            Self::Signal(number) => format!("ended by signal {number}"),
            Self::Killed => "ended by gdb".to_owned(),
            Self::FileTaken => "somebody writes to the kernel's or initrd's file, and there is no \
                                memory for copies of the pages that the guest has from it"
                .to_owned(),
        })
    }
}
