//! Memory for transfers outside the data path: aligned for direct I/O, growing only as far as it is asked to.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::error::{Error, ErrorKind, Result};
use crate::limits::SECTOR;

#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(4096))]
struct Sector([u8; SECTOR as usize]);

/// Whole sectors, aligned to a sector.
#[derive(Default)]
pub(crate) struct Scratch {
    sectors: Vec<Sector>,
}

impl Scratch {
    /// Room for `size` bytes, rounded up to whole sectors, all zero.
    pub(crate) fn zeroed(size: usize) -> Result<Scratch> {
        let mut scratch = Scratch::default();
        scratch.resize(size)?;
        Ok(scratch)
    }

    /// A copy of `bytes`, followed by zeros up to a whole sector.
    pub(crate) fn copy_of(bytes: &[u8]) -> Result<Scratch> {
        let mut scratch = Scratch::zeroed(bytes.len())?;
        scratch.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        Ok(scratch)
    }

    /// Grows to at least `size` bytes, rounded up to whole sectors; what is new is zero. Never shrinks.
    pub(crate) fn resize(&mut self, size: usize) -> Result<()> {
        let count = size.div_ceil(SECTOR as usize);
        let Some(more) = count.checked_sub(self.sectors.len()) else { return Ok(()) };
        if self.sectors.try_reserve_exact(more).is_err() {
            return Err(Error::new(ErrorKind::NoMemory, format!("no memory for {size} bytes of a transfer")));
        }
        self.sectors.resize_with(count, Sector::new_zeroed);
        Ok(())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.sectors.as_bytes()
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.sectors.as_mut_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligned_whole_sectors() {
        let mut scratch = Scratch::copy_of(b"abc").expect("memory");
        assert_eq!(scratch.bytes().len(), 4096);
        assert_eq!(scratch.bytes().as_ptr().addr() % 4096, 0);
        assert_eq!(&scratch.bytes()[..4], b"abc\0");
        scratch.resize(4097).expect("memory");
        assert_eq!(scratch.bytes_mut().len(), 8192);
        scratch.resize(1).expect("memory");
        assert_eq!(scratch.bytes().len(), 8192);
    }
}
