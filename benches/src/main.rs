//! The throughput harness: `cargo run --release -p thalweg-bench -- <run|compare>`.

fn main() -> std::process::ExitCode {
    thalweg_bench::main()
}
