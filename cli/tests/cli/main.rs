//! The command as its users meet it: arguments, bytes in and out, exit codes.

mod consume;
mod damage;
mod import;
mod kv;
mod positions;
mod reports;
mod run;
mod stats;
mod truncate;
mod usage;
