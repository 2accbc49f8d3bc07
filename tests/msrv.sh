#!/bin/sh
# usage: msrv.sh
# Checks the library, the tool and the examples with the oldest Rust that they are for, and runs
# their unit tests with it. The system's cargo calls the compiler.
#
# Unless rustc in PATH is of that version, the compiler is Debian's package rustc-web, unpacked into
# target/msrv: installed, it would conflict with rustup. Where apt has no such package, the script
# says so and ends with 77.
set -eu
cd "$(dirname "$0")/.."
: "${CARGO:=cargo}"
version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
mkdir -p "${CARGO_TARGET_DIR:-target}/msrv"
target=$(cd "${CARGO_TARGET_DIR:-target}/msrv" && pwd)
root=$target/rust

# The newest package NAME of that version of Rust, as apt-get takes it: NAME=VERSION.
package() {
  apt-cache madison "$1" | awk -v version="$version" \
    'index($3, version ".") == 1 { print $1 "=" $3; exit }'
}

# Downloads packages, or says which cannot be had.
download() {
  for name in "$@"; do
    if ! apt-get download -qq "$name" >log 2>&1; then
      cat log >&2
      echo "msrv.sh: apt-get cannot download $name (above it says why)." \
        "Try \"apt-get update\" and again, or put rustc $version into PATH" >&2
      exit 1
    fi
  done
}

# Unpacks the compiler whole, or not at all.
unpack() {
  compiler=$(package rustc-web)
  if [ -z "$compiler" ]; then
    echo "skipped: rustc in PATH is not $version, and apt has no package rustc-web of that version"
    exit 77
  fi
  rm -rf "$root" "$target/packages"
  mkdir -p "$target/packages/rust"
  cd "$target/packages"
  of=${compiler#*=}
  download "$compiler" "libstd-rust-web-dev=$of" "libstd-rust-web-$version=$of"
  # The compiler's own library names the LLVM that it was built with.
  # shellcheck disable=SC2046 # words
  download $(dpkg --field libstd-rust-web-"$version"_*.deb Depends | grep -o 'libllvm[0-9]*')
  for file in *.deb; do dpkg -x "$file" rust; done
  mv rust "$root"
  rm -rf "$target/packages"
}

case $(rustc --version 2>/dev/null) in
"rustc $version."*) ;;
*)
  if ! command -v apt-get >/dev/null; then
    echo "skipped: rustc in PATH is not $version, and there is no apt-get"
    exit 77
  fi
  [ -d "$root" ] || (unpack) || exit
  # No script around the compiler: a shell drops variables such as CARGO_BIN_EXE_villas-shm.
  LD_LIBRARY_PATH=$(dirname "$(find "$root" -name 'librustc_driver*')")
  export LD_LIBRARY_PATH RUSTC="$root/usr/bin/rustc"
  ;;
esac
export CARGO_TARGET_DIR="$target"
"${RUSTC:-rustc}" --version
"$CARGO" check --all-targets
"$CARGO" test --lib --bins
