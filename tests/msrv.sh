#!/bin/sh
# usage: msrv.sh
# Checks the library, the tool, the examples and the bridge with the oldest Rust that they are for,
# and runs the unit tests of all but the bridge with it. The system's cargo calls the compiler.
#
# Unless rustc in PATH is of that version, the compiler is Debian's package rustc-web, unpacked into
# target/msrv. Where apt has no such package, the script says so and ends with 77.
set -eu
cd "$(dirname "$0")/.."
: "${CARGO:=cargo}"
version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
target=${CARGO_TARGET_DIR:-target}/msrv

case $(rustc --version 2>/dev/null) in
"rustc $version."*) ;;
*)
  compiler=$(tests/debian-rust.sh "$target/rust" "$version")
  eval "$compiler"
  ;;
esac
export CARGO_TARGET_DIR="$target"
"${RUSTC:-rustc}" --version
"$CARGO" check --all-targets
"$CARGO" test --lib --bins
"$CARGO" check --manifest-path clients/bridge/Cargo.toml --locked --target-dir "$target/bridge"
