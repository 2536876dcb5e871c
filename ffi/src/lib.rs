//! The C ABI of Thalweg. What C and C++ programs need to know stands in `include/thalweg.h`, which is made from the
//! comments here, and in `docs/ABI.md`.
//!
//! Every call goes through `call`: panics are caught there, handles looked up, and failures told. Handles are numbers
//! (`handle`), so that no mistake of a caller with them is worse than an error.

#![allow(non_camel_case_types, reason = "types have the names that C sees")]
#![allow(clippy::missing_safety_doc, reason = "the header says what each pointer has to be")]
#![allow(clippy::too_many_arguments, reason = "as C has it")]
#![allow(clippy::not_unsafe_ptr_arg_deref, reason = "handles are not dereferenced")]

mod append;
mod arguments;
mod batch;
mod call;
mod completion;
mod consumer;
mod copy;
mod damage;
mod engine;
mod error;
mod event;
mod failure;
mod frame;
mod handle;
mod indexes;
mod info;
mod key_values;
mod limits;
mod metrics;
mod position;
mod reader;
mod reasons;
mod record;
mod repair;
mod start;
mod status;
mod text;
mod topic;
mod verify;
mod version;

pub use append::*;
pub use batch::*;
pub use completion::*;
pub use consumer::*;
pub use damage::*;
pub use engine::*;
pub use error::*;
pub use event::*;
pub use frame::*;
pub use info::*;
pub use key_values::*;
pub use limits::*;
pub use metrics::*;
pub use position::*;
pub use reader::*;
pub use record::*;
pub use repair::*;
pub use start::*;
pub use status::*;
pub use text::*;
pub use topic::*;
pub use verify::*;
pub use version::*;
