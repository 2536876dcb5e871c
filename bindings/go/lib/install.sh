#!/usr/bin/env bash
# Puts the pre-linked static library and its header where the cgo flags of the Go module look. `make go-lib PROFILE=` calls
# it.
set -euo pipefail
cd "$(dirname "$0")/../../.."

prefix=$(realpath -m "${CARGO_TARGET_DIR:-target}/go/prefix")
PREFIX=$prefix DESTDIR='' LIBDIR='' INCLUDEDIR='' DOCDIR='' ffi/install.sh
cp "$prefix/include/thalweg.h" "$prefix/lib/libthalweg.a" bindings/go/lib/
# By this the package is another one with another library, so that Go links anew.
sum=$(cat bindings/go/lib/{thalweg.h,libthalweg.a} | sha256sum | cut -c 1-64)
printf 'static const char thalweg_go_library[] __attribute__((used)) = "%s";\n' "$sum" >bindings/go/library.h
