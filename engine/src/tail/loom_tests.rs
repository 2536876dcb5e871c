//! The tail under the model checker.
