# The two commands of the README are `make demo` and `make test`; the rest are parts of them.

# The file that the demo imports, repeated up to SIZE.
INPUT ?= tests/data/online_retail_2010-12.csv
SIZE ?= 1GiB
# How long `make soak` runs.
SECONDS ?= 600
# Lanes of `make test`; all of them unless named: make test LANES="unit cli".
LANES ?=

# What `make bench` and `make compare` measure, and how long: make bench ARGS="bulk durable --rounds 30".
ARGS ?=

# Whom `make compare` builds: all-peers, or peers, which leaves out RocksDB and raft-engine.
PEERS ?= all-peers

# Where `make install` puts the library for C and C++; DESTDIR goes before it.
PREFIX ?= /usr/local
PROFILE ?= release

.PHONY: demo test soak bench compare header abi install go-lib clean

demo:
	cargo build --quiet --release -p thalweg-tests --bin thalweg-demo
	@"$${CARGO_TARGET_DIR:-target}/release/thalweg-demo" --input "$(INPUT)" --size "$(SIZE)"

test:
	@tests/run $(LANES)

# The simulator for as long as asked, each run from a seed of its own, printed so that it can be repeated.
soak:
	@tests/run --soak "$(SECONDS)"

# Every target of speed beside its baseline, in a few minutes; docs/BENCHMARKS.md tells how to read the table.
bench:
	@cargo bench --quiet -p thalweg-bench --bench targets -- $(ARGS)

# The engine beside every peer that can be built or found here, and a page of it; docs/BENCHMARKS.md names them. RocksDB is
# built from its sources, which takes a while the first time; PEERS=peers leaves it out.
compare:
	@cargo build --release -p thalweg-bench --features $(PEERS)
	@dir="$${CARGO_TARGET_DIR:-target}" && "$$dir/release/thalweg-bench" compare --json "$$dir/compare.json" $(ARGS) \
		&& "$$dir/release/thalweg-bench" report "$$dir/compare.json" --html "$$dir/compare.html" --ratios

# include/thalweg.h out of the sources of ffi/, which a test compares.
header:
	@THALWEG_WRITE_HEADER=1 cargo test --quiet --profile test-opt -p thalweg-tests --test header

# include/abi.txt and, for abidiff, include/abi.xml out of the header, to be reviewed: what compiled programs depend on.
abi: header
	@THALWEG_WRITE_ABI=1 cargo test --quiet --profile test-opt -p thalweg-tests --test abi
	@THALWEG_WRITE_ABI=1 tests/c/run abi

# Headers, libthalweg.so, libthalweg.a, the pkg-config file, the CMake package, and documents and examples for them.
install:
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" PROFILE="$(PROFILE)" ffi/install.sh

# The library and the header where the Go module in bindings/go looks for them.
go-lib:
	@PROFILE="$(PROFILE)" bindings/go/lib/install.sh

clean:
	cargo clean
	rm -rf bindings/python/build bindings/python/*.egg-info
