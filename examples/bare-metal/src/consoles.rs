//! The guests' outputs: as they are of a single guest, and told apart of several.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::options::Output;

/// One kind of output of all guests.
pub(crate) struct Outputs {
    guests: Vec<Guest>,
}

/// The output of one.
struct Guest {
    to: Box<dyn Write>,
    /// What each line begins with, and the line that is not whole yet.
    framed: Option<(String, Vec<u8>)>,
}

impl Outputs {
    /// Opens the output of `count` guests; `standard` is where [`Output::Standard`] goes.
    pub(crate) fn open<W: Write + 'static>(
        output: &Output,
        count: usize,
        standard: impl Fn() -> W,
    ) -> Result<Self, Failure> {
        let guest = |number: usize| -> Result<Guest, Failure> {
            let is_one_of_several = count > 1 && *output == Output::Standard;
            let framed = is_one_of_several.then(|| (format!("{number}| "), Vec::new()));
            let to: Box<dyn Write> = match output {
                Output::Standard => Box::new(standard()),
                Output::Null => Box::new(io::sink()),
                Output::File(path) if count == 1 => Box::new(create(path)?),
                Output::File(path) => {
                    let mut name = path.clone().into_os_string();
                    name.push(format!(".{number}"));
                    Box::new(create(&PathBuf::from(name))?)
                }
            };
            Ok(Guest { to, framed })
        };
        Ok(Self { guests: (1..=count).map(guest).collect::<Result<_, _>>()? })
    }

    /// Passes on what a guest, of which the first is 0, has written.
    ///
    /// Whoever closed an output does not want the rest.
    pub(crate) fn write(&mut self, guest: u8, bytes: &[u8]) {
        let Some(guest) = self.guests.get_mut(usize::from(guest)) else { return };
        let Some((start, line)) = &mut guest.framed else {
            let _ = guest.to.write_all(bytes).and_then(|()| guest.to.flush());
            return;
        };
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let whole = [start.as_bytes(), line.as_slice()].concat();
                line.clear();
                let _ = guest.to.write_all(&whole).and_then(|()| guest.to.flush());
            }
        }
    }

    /// Passes on lines that have no end.
    pub(crate) fn finish(&mut self) {
        for number in 0..self.guests.len() {
            let is_open =
                |guest: &Guest| guest.framed.as_ref().is_some_and(|(_, line)| !line.is_empty());
            if is_open(&self.guests[number]) {
                self.write(u8::try_from(number).unwrap_or(u8::MAX), b"\n");
            }
        }
    }
}

fn create(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|error| Failure::File { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Rc<RefCell<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(count: usize) -> String {
        let shared = Shared::default();
        let mut outputs = Outputs::open(&Output::Standard, count, || shared.clone()).unwrap();
        for (guest, bytes) in
            [(0, "one"), (1, "two\nthree\nfo"), (0, " more\n"), (1, "ur"), (9, "?")]
        {
            outputs.write(guest, bytes.as_bytes());
        }
        outputs.finish();
        String::from_utf8(shared.0.take()).unwrap()
    }

    #[test]
    fn lines_of_several_guests_stay_whole_and_say_whose_they_are() {
        assert_eq!(written(2), "2| two\n2| three\n1| one more\n2| four\n");
    }

    #[test]
    fn a_single_guest_is_passed_on_as_it_is() {
        assert_eq!(written(1), "one more\n");
    }
}
