#!/bin/sh
# usage: debian-rust.sh DIRECTORY VERSION [PACKAGE...]
# Unpacks Debian's compiler rustc-web into DIRECTORY, whole or not at all, unless it is there;
# installed, it would conflict with rustup. VERSION is that of Rust, "" the newest that apt has.
# Each PACKAGE is one of the same source, as libstd-rust-web-dev:arm64, and goes there too.
#
# Prints what a caller evaluates: the variables by which cargo uses the compiler. Where apt has no
# such package, the script says so and ends with 77.
set -eu
mkdir -p "$(dirname "$1")"
root=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
version=$2
shift 2

skip() {
  echo "skipped: $*" >&2
  exit 77
}

# Downloads packages into the working directory, or says which cannot be had.
download() {
  for name; do
    # shellcheck disable=SC2086 # options are words
    if ! apt-get $apt download -qq "$name" >log 2>&1; then
      cat log >&2
      echo "debian-rust.sh: apt-get cannot download $name (above it says why)." \
        "Try \"apt-get update\" and again" >&2
      exit 1
    fi
  done
}

unpack() {
  command -v apt-get >/dev/null || skip "there is no apt-get, to have Debian's rustc-web from"
  rm -rf "$root" "$root.part"
  mkdir -p "$root.part/apt/lists" "$root.part/rust"
  cd "$root.part"
  apt=
  case " $*" in
  *:*) # lists of another architecture beside those of this one, which the system's apt does not know
    apt="-o Dir::State::Lists=$PWD/apt/lists -o Dir::Cache=$PWD/apt -o APT::Architectures::=$(dpkg --print-architecture)"
    for name; do apt="$apt -o APT::Architectures::=${name##*:}"; done
    # shellcheck disable=SC2086
    apt-get $apt update -qq >log 2>&1 || { cat log >&2 && skip "apt-get cannot update the lists of packages"; }
    ;;
  esac
  # shellcheck disable=SC2086
  of=$(apt-cache $apt madison rustc-web | awk -v version="$version" \
    'version == "" || index($3, version ".") == 1 { print $3; exit }')
  [ -n "$of" ] || skip "apt has no package rustc-web${version:+ of Rust $version}"
  # 1.96.0+dfsg1-1 is of libstd-rust-web-1.96
  library=libstd-rust-web-$(echo "$of" | cut -d . -f 1,2)
  download "rustc-web=$of" "libstd-rust-web-dev=$of" "$library=$of"
  for name; do download "$name=$of"; done
  # The compiler's own library names the LLVM that it was built with.
  # shellcheck disable=SC2046 # words
  download $(dpkg --field "$library"_*.deb Depends | grep -o 'libllvm[0-9]*')
  for file in *.deb; do dpkg -x "$file" rust || exit 1; done
  mv rust "$root" || exit 1
  cd ..
  rm -rf "$root.part"
}

[ -d "$root" ] || (unpack "$@") || exit
# No script around the compiler: a shell drops variables such as CARGO_BIN_EXE_villas-shm.
echo "export LD_LIBRARY_PATH='$(dirname "$(find "$root" -name 'librustc_driver*')")' RUSTC='$root/usr/bin/rustc'"
