//! Names the shared library for the programs that are linked with it, and tells the library what it is built for.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Before 1.0 the ABI may change with the minor version.
    let name = format!("libthalweg.so.{}.{}", env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,{name}");
    println!("cargo:rustc-env=THALWEG_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}
