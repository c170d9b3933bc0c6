//! Loading alone, for the bench that times it.

use std::path::Path;

use vm_memory::{Bytes, GuestAddress};

use crate::failure::Failure;
use crate::guest::Inputs;
use crate::options::{Parsed, parse};
use crate::power::allocate;
use crate::sys::HostMemory;

/// A guest's memory with a kernel in it, ready for the first instruction.
#[derive(Debug)]
pub struct Loaded {
    memory: HostMemory,
    // Dropped after the memory that has pages of its files.
    _inputs: Inputs,
}

impl Loaded {
    /// Reads a kernel's file, plans, allocates memory, and puts into it what the plan says.
    ///
    /// # Errors
    /// What the program would say.
    pub fn new(kernel: &Path, memory: &str) -> Result<Self, String> {
        Self::load(kernel, memory).map_err(|failure| failure.to_string())
    }

    fn load(kernel: &Path, memory: &str) -> Result<Self, Failure> {
        let arguments = ["--memory", memory, "--kernel"].map(Into::into);
        let options = match parse(arguments.into_iter().chain([kernel.into()])) {
            Ok(Parsed::Run(options)) => options,
            Ok(Parsed::Print(text)) | Err(text) => return Err(Failure::Usage(text)),
        };
        let inputs = Inputs::read(&options)?;
        let modules = inputs.modules();
        let plan = inputs.machine(&options, 0, &modules)?.plan;
        let memory = allocate(&plan, &inputs.mapped_files())?;
        Ok(Self { memory, _inputs: inputs })
    }

    /// Reads guest memory.
    ///
    /// # Panics
    /// If there is none.
    pub fn read(&self, gpa: u64, buffer: &mut [u8]) {
        self.memory.ram.read_slice(buffer, GuestAddress(gpa)).expect("guest memory");
    }
}
