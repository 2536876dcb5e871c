//! The tail against its promises.
