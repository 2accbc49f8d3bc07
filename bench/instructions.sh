#!/bin/sh
# usage: instructions.sh LIBRARY-DIRECTORY [OTHER-LIBRARY-DIRECTORY]
# Instructions, by callgrind, that one sample of one value takes (alloc, write, read, put), without and with a history of 64, and one message of
# 8 bytes (push, pop). Two
# runs of different length are subtracted, so that opening and closing do not count. With two directories: the library of a
# state before and that of one after, and the ratio; the header must fit both.
set -eu
"$(dirname "$0")/../tests/install-missing.sh" valgrind
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
${CC:-cc} -std=c11 -Wall -Wextra -Wpedantic -Werror -O2 "$(dirname "$0")/instructions.c" -I"$(dirname "$0")/../include" -L"$1" -lvillas_shm -o "$out/program"
counted() { # counted DIRECTORY KIND COUNT
  LD_LIBRARY_PATH=$1 valgrind --tool=callgrind --callgrind-out-file=/dev/null "$out/program" "$2" "$3" 2>"$out/log" || {
    cat "$out/log" >&2
    exit 1
  }
  sed -n 's/.*Collected : *//p' "$out/log"
}
each() { # each DIRECTORY KIND
  long=$(counted "$1" "$2" 30000)
  short=$(counted "$1" "$2" 20000)
  echo $(((long - short + 5000) / 10000))
}
for kind in channel history spsc mpmc; do
  first=$(each "$1" "$kind")
  if [ $# -gt 1 ]; then
    second=$(each "$2" "$kind")
    awk -v kind="$kind" -v first="$first" -v second="$second" 'BEGIN {printf "%-8s %4d %4d  %.3f\n", kind, first, second, second / first}'
  else
    printf '%-8s %4d\n' "$kind" "$first"
  fi
done
