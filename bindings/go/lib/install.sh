#!/usr/bin/env bash
# Puts the pre-linked static library and its header where the cgo flags of the Go module look. `make go-lib PROFILE=` calls
# it.
set -euo pipefail
cd "$(dirname "$0")/../../.."

prefix=$(realpath -m "${CARGO_TARGET_DIR:-target}/go/prefix")
PREFIX=$prefix DESTDIR='' LIBDIR='' INCLUDEDIR='' DOCDIR='' ffi/install.sh
cp "$prefix/include/thalweg.h" "$prefix/lib/libthalweg.a" bindings/go/lib/
# Go does not look whether a library has changed, but whether a header of the package has.
(cd bindings/go/lib && sha256sum thalweg.h libthalweg.a) | sed 's|^|// |' >bindings/go/library.h
