#!/bin/sh
# usage: aarch64.sh [PART...]
# Builds for aarch64 and runs what was built under qemu. The parts, all by default:
#
#   c      the C and C++ tests, less those in aarch64-omitted.txt
#   wire   VILLASnode's layout against the model of VILLASnode, built for aarch64 too
#   mixed  the main job over one region, with a native node and an emulated C client
#   rust   the unit tests and the Rust integration tests of the library
#
# The compiler is Debian's rustc-web, with the library for arm64, in target/aarch64/rust; the linker
# Debian's. What cannot be had here is said; then the script ends with 77, and nothing has failed.
#
#   LIB=target/release   the native build, for "mixed"
set -eu
cd "$(dirname "$0")/.."
: "${LIB:=target/release}" "${CARGO:=cargo}"
target=$(mkdir -p "${CARGO_TARGET_DIR:-target}/aarch64" && cd "${CARGO_TARGET_DIR:-target}/aarch64" && pwd)
machine=aarch64-unknown-linux-gnu
built=$target/cargo/$machine/release
omitted=tests/aarch64-omitted.txt
[ $# -gt 0 ] || set -- c wire mixed rust

# says WORDS: how a part went.
says() { echo "aarch64: $*"; }

skip() {
  says "skipped: $*" >&2
  exit 77
}

# The rows of aarch64-omitted.txt must name tests that there are.
check_omitted() {
  grep -v '^#' $omitted | while read -r program test reason; do
    [ -n "$reason" ] && [ -e "tests/c/$program.c" ] &&
      { [ "$test" = all ] || grep -q "RUN($test)" "tests/c/$program.c"; } || {
      echo "aarch64.sh: $omitted: \"$program $test\" is no test, or has no reason" >&2
      exit 1
    }
  done
}

run_c() {
  check_omitted
  says "left out, as $omitted says:"
  grep -v '^#' $omitted | sed 's/^/        /'
  programs=$(tests/run-c.sh --list | grep -vxF "$(awk '!/^#/ && $2 == "all" { print $1 }' $omitted)")
  CHECK_OMIT=$(awk '!/^#/ { printf " %s ", $2 }' $omitted)
  export CHECK_OMIT CHECK_QUICK=1 CHECK_SLOW=1
  # shellcheck disable=SC2086 # words
  LIB=$built BUILD=$target/c-tests JOBS=2 tests/emulate.sh tests/run-c.sh $programs
}

run_wire() {
  "$CXX" -std=c++17 -pthread -O2 tests/wire/*.cpp -o "$target/villasnode-peer"
  "$CC" -std=c11 -O2 tests/wire/ours.c -Iinclude -L"$built" -lvillas_shm -Wl,-rpath,"$built" -o "$target/ours"
  tests/emulate.sh tests/wire/library.sh "$target/villasnode-peer" "$target/ours" quick
}

run_mixed() {
  [ -x "$LIB/villas-shm" ] || skip "no villas-shm in $LIB: make build"
  mkdir -p "$target/bin"
  "$CC" -std=c11 -pthread -O2 clients/shmem/villas-shmem.c -Iinclude -L"$built" -lvillas_shm \
    -Wl,-rpath,"$built" -o "$target/bin/villas-shmem"
  tests/emulate.sh tests/demo.sh "$LIB" "$target/bin"
}

# Left out of the unit tests: those of habits, which count on times that an emulator stretches, and one that compares sources of the
# start time: qemu writes /proc/self/stat itself.
run_rust() {
  tests/emulate.sh "$CARGO" test --profile checks -p villas-shm --target $machine --lib -- \
    --skip waiting:: --skip a_process_reads_the_same_start_time
  tests/emulate.sh "$CARGO" test --profile checks -p villas-shm --target $machine \
    --test channel --test poll --test tap --test tap_traffic --test wire
}

[ "$(uname -m)" = x86_64 ] || skip "this emulates aarch64 on x86-64; on another machine run \"make test\""
tests/install-missing.sh aarch64-linux-gnu-gcc aarch64-linux-gnu-g++ qemu-aarch64-static ||
  skip "no cross compiler, or no qemu"
export CC=aarch64-linux-gnu-gcc CXX=aarch64-linux-gnu-g++
# Without a way to run what is built there is no use in building it.
tests/emulate.sh true
compiler=$(tests/debian-rust.sh "$target/rust" "" libstd-rust-web-dev:arm64)
eval "$compiler"
export CARGO_TARGET_DIR="$target/cargo" CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$CC
"$CARGO" build --release -p villas-shm --target $machine
ln -sf libvillas_shm.so "$built/libvillas_shm.so.0"
for part; do
  start=$(date +%s)
  "run_$part"
  says "$part: passed, in $(($(date +%s) - start)) s"
done
