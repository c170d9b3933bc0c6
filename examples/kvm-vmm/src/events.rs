//! What happens outside of the guest: signals, keys, time.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use signal_hook::consts::{SIGHUP, SIGINT, SIGIO, SIGQUIT, SIGTERM};

use crate::failure::{Failure, Outcome};
use crate::files::MappedFiles;
use crate::live::{Live, Stop};

/// How long to leave a CPU alone that has the devices, or a guest that reads no input.
const PATIENCE: Duration = Duration::from_millis(2);

/// Signals that end the program, in an orderly way.
#[derive(Debug)]
pub(crate) struct Signals {
    number: Arc<AtomicUsize>,
    wake: UnixStream,
}

impl Signals {
    /// Starts to catch them.
    pub(crate) fn catch() -> Result<Self, Failure> {
        let number = Arc::new(AtomicUsize::new(0));
        let (wake, theirs) = UnixStream::pair().map_err(Failure::host("make a socket pair"))?;
        for (signal, value) in [(SIGHUP, 1), (SIGINT, 2), (SIGQUIT, 3), (SIGTERM, 15)] {
            let caught = || -> io::Result<()> {
                // In this order: whoever is woken finds the number.
                signal_hook::flag::register_usize(signal, Arc::clone(&number), value)?;
                signal_hook::low_level::pipe::register(signal, theirs.try_clone()?)?;
                Ok(())
            };
            caught().map_err(Failure::host("catch signals"))?;
        }
        // Somebody wants to write to a mapped file, which knows by itself.
        signal_hook::low_level::pipe::register(SIGIO, theirs)
            .and_then(|_| wake.set_nonblocking(true))
            .map_err(Failure::host("catch signals"))?;
        Ok(Self { number, wake })
    }

    fn received(&self) -> Option<u8> {
        u8::try_from(self.number.load(Ordering::Acquire)).ok().filter(|number| *number != 0)
    }
}

/// What comes in from outside while the guest runs.
#[derive(Debug)]
pub(crate) struct Events<'f> {
    signals: Signals,
    /// When the guest's time is up.
    end: Option<Instant>,
    /// Whether standard input is the guest's console, and has not ended.
    has_input: bool,
    /// Files whose pages the guest may have.
    files: MappedFiles<'f>,
    /// Where gdb speaks, while there is one.
    gdb: Option<OwnedFd>,
}

/// What a halted guest's program has to see to.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// There is something to read.
    Input,
    /// The end.
    Outcome(Outcome),
    /// Somebody wants to write to a mapped file.
    Files,
}

impl<'f> Events<'f> {
    pub(crate) const fn new(
        signals: Signals,
        end: Option<Instant>,
        has_input: bool,
        files: MappedFiles<'f>,
    ) -> Self {
        Self { signals, end, has_input, files, gdb: None }
    }

    /// Has gdb's connection looked at too, or no more.
    pub(crate) fn listen_to_gdb(&mut self, gdb: Option<OwnedFd>) {
        self.gdb = gdb;
    }

    /// Waits, while no CPU runs, until gdb says something, or what can't wait.
    pub(crate) fn attend_gdb(&self) -> Wanted {
        self.gdb.as_ref().map_or(Wanted::Input, |gdb| self.attend(gdb.as_fd()))
    }

    /// Tells whether gdb has said something.
    pub(crate) fn gdb_speaks(&self) -> bool {
        let Some(gdb) = &self.gdb else { return false };
        let mut fds = [PollFd::new(gdb, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// The same for any file.
    pub(crate) fn attend(&self, fd: BorrowedFd<'_>) -> Wanted {
        loop {
            if let Some(outcome) = self.ended() {
                return Wanted::Outcome(outcome);
            }
            if self.files.are_wanted() {
                return Wanted::Files;
            }
            let mut fds = [
                PollFd::new(&self.signals.wake, PollFlags::IN),
                PollFd::from_borrowed_fd(fd, PollFlags::IN),
            ];
            let limit = self.end.map(|end| end.saturating_duration_since(Instant::now()));
            let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
            let _ = poll(&mut fds, limit.as_ref());
            let _ = rustix::io::read(&self.signals.wake, &mut [0; 64]);
            if !fds[1].revents().is_empty() {
                return Wanted::Input;
            }
        }
    }

    fn ended(&self) -> Option<Outcome> {
        if let Some(number) = self.signals.received() {
            return Some(Outcome::Signal(number));
        }
        self.end.is_some_and(|end| Instant::now() >= end).then_some(Outcome::Timeout)
    }

    /// Serves what comes in until the CPUs stop by themselves, or have to: then it returns why.
    pub(crate) fn serve(&mut self, live: &Live<'_>) -> Option<Outcome> {
        let stdin = rustix::stdio::stdin();
        let mut pause = None;
        loop {
            if let Some(outcome) = self.ended() {
                return Some(outcome);
            }
            if live.is_stopping() {
                return None;
            }
            if self.files.are_wanted() {
                if live.try_stop(Stop::FilesWanted) {
                    return None;
                }
                pause = Some(PATIENCE);
            }
            let ready = self.wait(live, stdin, pause.take());
            if ready.gdb {
                if live.try_stop(Stop::GdbSpeaks) {
                    return None;
                }
                pause = Some(PATIENCE);
                continue;
            }
            if ready.timer || ready.input {
                let Some(mut parts) = live.try_lock() else {
                    pause = Some(PATIENCE);
                    continue;
                };
                if ready.timer {
                    // It has fired; how often is of no interest.
                    let _ = rustix::io::read(&live.timer, &mut [0; 8]);
                    live.catch_up(&mut parts);
                }
                if ready.input {
                    let room = parts.devices.console_room();
                    if room == 0 {
                        pause = Some(PATIENCE);
                        continue;
                    }
                    let mut bytes = vec![0; room.min(256)];
                    match rustix::io::read(stdin, &mut bytes[..]) {
                        Ok(length @ 1..) => {
                            let parts = &mut *parts;
                            parts.devices.console_input(&bytes[..length], &mut parts.board);
                            live.settle(parts, None);
                        }
                        Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                        // The guest hears no more.
                        Ok(0) | Err(_) => self.has_input = false,
                    }
                }
            }
        }
    }

    /// Waits until something happens. While it pauses, only what can't wait counts.
    fn wait(&self, live: &Live<'_>, stdin: BorrowedFd<'_>, pause: Option<Duration>) -> Ready {
        let mut fds = vec![
            PollFd::new(&self.signals.wake, PollFlags::IN),
            PollFd::new(&live.wake, PollFlags::IN),
        ];
        let mut add = |wanted: bool, fd| {
            wanted.then(|| {
                fds.push(fd);
                fds.len() - 1
            })
        };
        let waits = pause.is_none();
        let timer = add(waits, PollFd::new(&live.timer, PollFlags::IN));
        let input = add(waits && self.has_input, PollFd::from_borrowed_fd(stdin, PollFlags::IN));
        let gdb = self.gdb.as_ref().filter(|_| waits);
        let gdb = gdb.and_then(|gdb| add(true, PollFd::new(gdb, PollFlags::IN)));
        let left = self.end.map(|end| end.saturating_duration_since(Instant::now()));
        let limit = left.into_iter().chain(pause).min();
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        // Whatever goes wrong, the loop looks at everything again.
        let _ = poll(&mut fds, limit.as_ref());
        // Signals are looked at where they are kept.
        let _ = rustix::io::read(&self.signals.wake, &mut [0; 64]);
        let is_ready = |index: Option<usize>| {
            index.and_then(|index| fds.get(index)).is_some_and(|fd| !fd.revents().is_empty())
        };
        Ready { timer: is_ready(timer), input: is_ready(input), gdb: is_ready(gdb) }
    }
}

struct Ready {
    timer: bool,
    input: bool,
    gdb: bool,
}
