#!/usr/bin/env bash
# Builds the library and puts it in place: headers, shared and static library, pkg-config file, CMake package, documents
# and examples.
# `make install PREFIX=/usr/local DESTDIR=` calls it.
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=${PREFIX:-/usr/local}
if [[ $prefix != /* ]]; then
  echo "PREFIX is \"$prefix\"; it has to be a whole path, as it stands in the pkg-config file" >&2
  exit 2
fi
libdir=${LIBDIR:-$prefix/lib}
includedir=${INCLUDEDIR:-$prefix/include}
docdir=${DOCDIR:-$prefix/share/doc/thalweg}
profile=${PROFILE:-release}
destination=${DESTDIR:-}
target=${CARGO_TARGET_DIR:-target}/$profile

cargo build --quiet --profile "$profile" -p thalweg-ffi
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
# Before 1.0 the ABI may change with the minor version.
soname=libthalweg.so.${version%.*}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The static library is one object: what it needs of Rust is inside, and only the calls of the header are visible.
objcopy=${OBJCOPY:-objcopy}
ld_arguments=()
while read -r call; do
  ld_arguments+=("-u" "$call")
done < <(nm -g --defined-only "$target/libthalweg_c.so" | sed -n 's/^.* T \(thalweg_.*\)$/\1/p')
"${LD:-ld}" -r --gc-sections "${ld_arguments[@]}" -o "$scratch/whole.o" "$target/libthalweg_c.a"
# Rust's own library carries bitcode of its compiler, which tools with a plugin of another LLVM stumble over.
"$objcopy" --strip-debug --remove-section=.llvmbc --remove-section=.llvmcmd \
  --wildcard --keep-global-symbol='thalweg_*' "$scratch/whole.o" "$scratch/thalweg.o"
rm -f "$scratch/libthalweg.a"
"${AR:-ar}" rcs "$scratch/libthalweg.a" "$scratch/thalweg.o"
"$objcopy" --strip-debug "$target/libthalweg_c.so" "$scratch/libthalweg.so"

fill() {
  sed -e "s|@PREFIX@|$prefix|g" -e "s|@LIBDIR@|$libdir|g" -e "s|@INCLUDEDIR@|$includedir|g" \
    -e "s|@VERSION@|$version|g" -e "s|@SONAME@|$soname|g" "ffi/package/$1" >"$scratch/${1%.in}"
}
fill thalweg.pc.in
fill thalweg-config.cmake.in
fill thalweg-config-version.cmake.in

install -d "$destination$libdir/pkgconfig" "$destination$libdir/cmake/thalweg" "$destination$includedir"
install -m 644 include/thalweg.h include/thalweg.hpp "$destination$includedir/"
install -m 755 "$scratch/libthalweg.so" "$destination$libdir/libthalweg.so.$version"
ln -sf "libthalweg.so.$version" "$destination$libdir/$soname"
ln -sf "$soname" "$destination$libdir/libthalweg.so"
install -m 644 "$scratch/libthalweg.a" "$destination$libdir/"
install -m 644 "$scratch/thalweg.pc" "$destination$libdir/pkgconfig/"
install -m 644 "$scratch"/thalweg-config*.cmake "$destination$libdir/cmake/thalweg/"

install -d "$destination$docdir/examples/c" "$destination$docdir/examples/cpp"
install -m 644 docs/ABI.md docs/GLOSSARY.md docs/METRICS.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE "$destination$docdir/"
# There they lie beside each other.
sed -i -e 's|(\.\./examples)|(examples)|' "$destination$docdir/ABI.md"
install -m 644 examples/Makefile examples/CMakeLists.txt "$destination$docdir/examples/"
install -m 644 examples/c/*.c "$destination$docdir/examples/c/"
install -m 644 examples/cpp/*.cpp "$destination$docdir/examples/cpp/"

echo "libraries, pkg-config file and CMake package in $destination$libdir, headers in $destination$includedir,"
echo "ABI.md, GLOSSARY.md, METRICS.md and examples in $destination$docdir"
