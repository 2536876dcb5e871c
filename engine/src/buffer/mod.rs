//! Aligned memory that devices and callers share, out of one budget.

/// A piece of memory congruent with a piece of a segment file.
pub(crate) struct Block {}
impl Block {
    /// # Safety
    /// The range is published and never changes again.
    pub(crate) unsafe fn bytes(&self, _at: usize, _size: usize) -> &[u8] {
        &[]
    }
    /// # Safety
    /// The caller alone owns the range.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn bytes_mut(&self, _at: usize, _size: usize) -> &mut [u8] {
        &mut []
    }
}
