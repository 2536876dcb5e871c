//! Every row of the table that plain files can reach.

mod journals;
mod segments;
mod trouble;
mod world;
