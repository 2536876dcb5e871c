//! Compiles what a C program does, for the rows that set it beside a Rust program.

fn main() {
    println!("cargo:rerun-if-changed=c/caller.c");
    println!("cargo:rerun-if-changed=../include/thalweg.h");
    cc::Build::new().file("c/caller.c").include("../include").opt_level(3).warnings(true).compile("caller");
}
