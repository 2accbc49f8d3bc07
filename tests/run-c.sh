#!/bin/sh
# Builds and runs the C and C++ tests, and says how each went.
#
#   tests/run-c.sh [--list] [NAME...]     all, or those named (without the ending)
#
# From the environment, each with its default:
#   INCLUDE=include  LIB=target/release  BUILD=target/c-tests  CC=cc  CXX=c++
#   STANDARD=17      of C++
#   SANITIZE=address,undefined   or thread: the tests are built with these sanitizers
#   JOBS=1           so many at a time
#   TSAN_RUNTIME=FILE    the thread sanitizer's run-time library with which libvillas_shm in LIB was instrumented: all tests are, too
#   VALGRIND=1       run each under valgrind, with fewer repetitions
#   CHECK_VERBOSE=1  each test says what it checks, and how long that took
#   LIMIT=600        seconds for each: of what hangs, most ends by itself, as each thing that is checked has a limit of its own
#   CHECK_SEED=N     other pseudo-random choices
cd "$(dirname "$0")/.." || exit 1

: "${INCLUDE:=include}" "${LIB:=target/release}" "${BUILD:=target/c-tests}"
: "${CC:=cc}" "${CXX:=c++}"
warnings='-Wall -Wextra -Wpedantic -Werror -pthread -g'
limit=${LIMIT:-600}
under=
if [ -n "${TSAN_RUNTIME:-}" ]; then
  # Many tests fork with threads.
  TSAN_OPTIONS="suppressions=$PWD/tests/c/tsan-all.supp die_after_fork=0 halt_on_error=1 exitcode=66 ${TSAN_OPTIONS:-}"
  under='setarch -R' # the sanitizer wants its addresses to itself
  CHECK_SLOW=1
  export CHECK_SLOW
else
  TSAN_OPTIONS="suppressions=$PWD/tests/c/tsan.supp ${TSAN_OPTIONS:-}"
fi
# Some tests expect these signals.
ASAN_OPTIONS="handle_segv=0 handle_sigbus=0 ${ASAN_OPTIONS:-}"
export TSAN_OPTIONS ASAN_OPTIONS
if [ "${VALGRIND:-0}" != 0 ]; then
  limit=1800
  # Fair: without it one thread that spins can keep the others from valgrind's lock for minutes.
  under="valgrind --fair-sched=try --error-exitcode=9 --trace-children=yes --vgdb=no -q --suppressions=$PWD/tests/c/valgrind.supp"
  command -v valgrind >/dev/null || { echo 'run-c.sh: valgrind is not installed' >&2; exit 1; }
else
  unset VALGRIND
fi

all() {
  for source in tests/c/*.c tests/c/*.cpp; do
    name=${source##*/}
    echo "${name%.*}"
  done
}

# build SOURCE PROGRAM: at run time the library is found under its SONAME beside the program.
build() {
  case $1 in
  *.cpp) compiler="$CXX -std=c++${STANDARD:-17} -Wconversion -Wshadow ${SANITIZE:+-O1 -fsanitize=$SANITIZE -fno-sanitize-recover=all}" ;;
  # What may be cut off or overlap in a buffer is guessed otherwise in instrumented code.
  *) compiler="$CC -std=c11 ${SANITIZE:+-O1 -fsanitize=$SANITIZE -fno-sanitize-recover=all -Wno-format-truncation -Wno-format-overflow -Wno-restrict}" ;;
  esac
  # shellcheck disable=SC2086 # options are words
  if [ -n "${TSAN_RUNTIME:-}" ]; then
    # One run-time library for both: the one of the Rust compiler, which the shared library finds in the program.
    $compiler $warnings -fsanitize=thread -I"$INCLUDE" -c "$1" -o "$2.o" &&
      ${compiler%% *} -pthread -rdynamic "$2.o" -Wl,--whole-archive "$TSAN_RUNTIME" -Wl,--no-whole-archive -ldl -lm -lrt \
        -o "$2" -L"$LIB" -Wl,-rpath,"$BUILD" -lvillas_shm
    return
  fi
  # shellcheck disable=SC2086
  $compiler $warnings -I"$INCLUDE" "$1" -o "$2" -L"$LIB" -Wl,-rpath,"$BUILD" -lvillas_shm
}

# What a test has said; valgrind's complaints about system calls newer than itself are left out.
show() {
  grep -v '^--[0-9]*-- ' "$1" | sed 's/^/        /'
}

if [ "${1:-}" = --list ]; then
  all
  exit 0
fi

[ -e "$INCLUDE/villas/shmem.h" ] || { echo "run-c.sh: no villas/shmem.h in $INCLUDE" >&2; exit 1; }
mkdir -p "$BUILD" || exit 1
LIB=$(cd "$LIB" && pwd) && BUILD=$(cd "$BUILD" && pwd) || exit 1
[ -e "$LIB/libvillas_shm.so" ] || { echo "run-c.sh: no libvillas_shm.so in $LIB" >&2; exit 1; }
ln -sf "$LIB/libvillas_shm.so" "$BUILD/libvillas_shm.so.0"

VILLAS_SHMEM=$BUILD/villas-shmem SURVIVOR=$BUILD/examples/survivor
export VILLAS_SHMEM SURVIVOR INCLUDE LIB BUILD CC CXX

# one NAME: builds and runs a test, and says how it went; its status is left in NAME.status, 77: skipped.
one() {
  name=$1
  source=tests/c/$name.c
  [ -e "$source" ] || source=tests/c/$name.cpp
  log=$BUILD/$name.log
  begin=$(date +%s%N)
  if build "$source" "$BUILD/$name" >"$log" 2>&1; then
    # shellcheck disable=SC2086
    timeout -k 5 "$limit" $under "$BUILD/$name" >"$log" 2>&1
    status=$?
  else
    status=build
  fi
  seconds=$((($(date +%s%N) - begin) / 10000000))
  seconds=$(printf '%d.%02d s' $((seconds / 100)) $((seconds % 100)))
  echo "$status" >"$BUILD/$name.status"
  case $status in
  0)
    echo "ok      $name ($seconds)"
    [ -z "${CHECK_VERBOSE:-}" ] || show "$log"
    ;;
  77)
    echo "skipped $name: $(sed -n 's/^skipped: //p' "$log" | head -n 1)"
    ;;
  *)
    case $status in
    build) why='does not build' ;;
    9) why='valgrind found errors' ;;
    66) why='the thread sanitizer found a race' ;;
    124 | 137) why="killed after $limit s" ;;
    *) why="status $status" ;;
    esac
    echo "FAILED  $name: $why ($seconds)"
    show "$log"
    ;;
  esac
}

if [ "${1:-}" = --one ]; then
  # In one piece, as others may say something meanwhile.
  one "$2" >"$BUILD/$2.said"
  cat "$BUILD/$2.said"
  exit 0
fi

mkdir -p "$BUILD/examples" || exit 1
build clients/shmem/villas-shmem.c "$VILLAS_SHMEM" && build examples/survivor.c "$SURVIVOR" || exit 1
[ $# -gt 0 ] || set -- $(all)
for name; do rm -f "$BUILD/$name.status"; done
printf '%s\n' "$@" | xargs -n 1 -P "${JOBS:-1}" tests/run-c.sh --one
passed=0 failed=0 skipped=0
for name; do
  case $(cat "$BUILD/$name.status" 2>/dev/null) in
  0) passed=$((passed + 1)) ;;
  77) skipped=$((skipped + 1)) ;;
  *) failed=$((failed + 1)) ;;
  esac
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
