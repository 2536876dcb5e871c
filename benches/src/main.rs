//! The throughput harness: `cargo run --release -p thalweg-bench -- <run|compare|report>`.

fn main() -> std::process::ExitCode {
    thalweg_bench::main()
}
