//! Every row of the table that plain files can reach.

pub(crate) mod forged;
mod journals;
mod segments;
mod trouble;
mod world;
