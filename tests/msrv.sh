#!/bin/sh
# usage: msrv.sh
# Checks the library, the tool and the examples with the oldest Rust that they are for, and runs the unit tests with it: Debian's
# package rustc-web, unpacked into target/msrv. (Installed, it would conflict with rustup.) The system's cargo calls it.
#
# Where apt has no such package, and no rustc of that version is in PATH, it says so and ends with 77.
set -eu
cd "$(dirname "$0")/.."
: "${CARGO:=cargo}"
version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
target=$(mkdir -p "${CARGO_TARGET_DIR:-target}/msrv" && cd "${CARGO_TARGET_DIR:-target}/msrv" && pwd)
root=$target/root/usr

# The newest package NAME of that version of Rust, as apt-get wants it.
package() {
  apt-cache madison "$1" 2>/dev/null | sed -n "s/^ *$1 | *\($2[^ ]*\) .*/$1=\1/p" | head -n 1
}

unpack() {
  command -v apt-get >/dev/null || return 1
  [ -n "$(package rustc-web "$version")" ] || { [ "$(id -u)" = 0 ] && apt-get update -qq; }
  compiler=$(package rustc-web "$version")
  [ -n "$compiler" ] || return 1
  mkdir -p "$target/packages"
  (
    cd "$target/packages"
    # shellcheck disable=SC2046 # words
    apt-get download -qq "$compiler" "$(package libstd-rust-web-dev "$version")" "libstd-rust-web-$version" 2>/dev/null
    # The compiler's own library, of whatever version it was built with.
    llvm=$(dpkg -I libstd-rust-web-"$version"_*.deb | sed -n 's/.*\(libllvm[0-9]*\).*/\1/p')
    apt-get download -qq "$llvm" 2>/dev/null
    for file in *.deb; do dpkg -x "$file" "$target/root"; done
  )
}

case $(rustc --version 2>/dev/null) in
"rustc $version."*) ;;
*)
  if [ ! -x "$root/bin/rustc" ] && ! unpack; then
    echo "skipped: Rust $version is not here, and apt has no package rustc-web of that version"
    exit 77
  fi
  libraries=$(dirname "$(find "$root/lib" -name 'librustc_driver*' | head -n 1)")
  printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s/bin/rustc --sysroot %s "$@"\n' "$libraries" "$root" "$root" >"$target/rustc"
  chmod +x "$target/rustc"
  export RUSTC="$target/rustc"
  ;;
esac
export CARGO_TARGET_DIR="$target"
"${RUSTC:-rustc}" --version
"$CARGO" check --all-targets
"$CARGO" test -p villas-shm --lib
