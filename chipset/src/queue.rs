//! A queue of bytes of fixed capacity.

/// Up to `N` bytes, first in, first out.
#[derive(Clone, Debug)]
pub(crate) struct ByteQueue<const N: usize> {
    bytes: [u8; N],
    first: usize,
    len: usize,
}

impl<const N: usize> ByteQueue<N> {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; N], first: 0, len: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) const fn clear(&mut self) {
        self.len = 0;
    }

    /// Appends a byte; a full queue drops it and says so with `false`.
    pub(crate) const fn push(&mut self, byte: u8) -> bool {
        if self.len == N {
            return false;
        }
        self.bytes[(self.first + self.len) % N] = byte;
        self.len += 1;
        true
    }

    pub(crate) const fn pop(&mut self) -> Option<u8> {
        if self.len == 0 {
            return None;
        }
        let byte = self.bytes[self.first];
        self.first = (self.first + 1) % N;
        self.len -= 1;
        Some(byte)
    }
}
