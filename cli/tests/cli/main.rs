//! The command as its users meet it: arguments, bytes in and out, exit codes.

mod consume;
mod damage;
mod import;
mod reports;
mod run;
mod usage;
