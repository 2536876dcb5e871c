#!/bin/sh
# Builds every fuzz target in src/bin and runs each for SECONDS (default 30) from its corpus.
#
#   tests/fuzz/run.sh [SECONDS [TARGET...]]
#
# Works on the stable toolchain: libFuzzer comes with the libfuzzer-sys crate, coverage from rustc's own passes. New
# inputs stay in the target directory; what crashes is printed, kept there, and belongs into the corpus once it is
# mended. Ends with a line `N passed, N failed, N skipped`.
set -u
cd "$(dirname "$0")" || exit 1
seconds=${1:-30}
[ $# -gt 0 ] && shift
root=$(cd ../.. && pwd)
target=${CARGO_TARGET_DIR:-$root/target}/fuzz
found=$target/found
[ $# -gt 0 ] || set -- $(ls src/bin | sed 's/\.rs$//')

flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
flags="$flags -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
flags="$flags -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing"
# With --target the flags are for the fuzzed code, not for build scripts.
host=$(rustc -vV | sed -n 's/^host: //p')
if ! CARGO_TARGET_DIR=$target RUSTFLAGS=$flags cargo build --release --target "$host"; then
    echo "0 passed, $# failed, 0 skipped"
    exit 1
fi

passed=0
failed=0
for name in "$@"; do
    mkdir -p "$found/$name" "$found/crashes" "corpus/$name"
    log=$found/$name.log
    # The first corpus directory takes the new inputs; the committed one is only read.
    if "$target/$host/release/$name" "$found/$name" "corpus/$name" -max_total_time="$seconds" -max_len=8192 \
        -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$found/crashes/$name-" >"$log" 2>&1; then
        passed=$((passed + 1))
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        echo "$name: $runs inputs in $seconds s, $(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1) edges"
    else
        failed=$((failed + 1))
        tail -n 60 "$log"
        echo "$name: failed, the whole log is $log"
    fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
