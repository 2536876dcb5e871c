//! A producer that waits for each append.

use std::time::Instant;

use crate::error::Result;
use crate::producer::Producer;

/// Appends a batch of the payload, by its number, and returns when it is as durable as promised.
pub(super) struct Waiting<F>(pub(super) F);

impl<F: FnMut(usize) -> Result<()>> Producer for Waiting<F> {
    fn append(&mut self, batch: usize, begun: Option<Instant>, acknowledged: &mut dyn FnMut(Instant)) -> Result<()> {
        (self.0)(batch)?;
        begun.map(acknowledged);
        Ok(())
    }

    fn settle(&mut self, _until: Option<Instant>, _acknowledged: &mut dyn FnMut(Instant)) -> Result<()> {
        Ok(())
    }
}
