#!/bin/sh
# usage: ring-clients.sh DIRECTORY (of libvillas_shm.so and the Rust examples)
# The producers and consumers of clients/ring, in each language, work with each other in any combination, whichever begins first.
set -eu
lib=$1
count=2000
out=$lib/ring-clients
mkdir -p "$out"
for program in producer consumer; do
  ${CC:-cc} -std=c11 -Wall -Wextra -Wpedantic -Werror -O2 -Iinclude "clients/ring/$program.c" -o "$out/$program-c" \
    -L"$lib" -Wl,-rpath,"$(cd "$lib" && pwd)" -lvillas_shm -lm
  ${CXX:-c++} -std=c++17 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -O2 -Iinclude "clients/ring/$program.cpp" \
    -o "$out/$program-cpp" -L"$lib" -Wl,-rpath,"$(cd "$lib" && pwd)" -lvillas_shm
  ln -sf "../ring-$program" "$out/$program-rust"
done

name=villas-ring-clients-$$
trap 'rm -f "/dev/shm/$name"' EXIT
combinations=0
for producer in "$out"/producer-*; do
  for consumer in "$out"/consumer-*; do
    for first in producer consumer; do
      if [ "$first" = producer ]; then
        timeout 20 "$producer" "$name" $count & begun=$!
        timeout 20 "$consumer" "$name" $count >"$out/received"
      else
        timeout 20 "$consumer" "$name" $count >"$out/received" & begun=$!
        timeout 20 "$producer" "$name" $count
      fi
      wait $begun
      awk -v count=$count '
        function close_to(a, b) { return a - b < 2e-6 && b - a < 2e-6 }
        { t = (NR - 1) * 1e-4; w = 2 * 3.141592653589793 * 50 * t; third = 2 * 3.141592653589793 / 3
          if ($1 != NR - 1 || !close_to($3, 325 * sin(w)) || !close_to($4, 325 * sin(w - third)) || !close_to($5, 325 * sin(w - 2 * third))) {
            print "ring-clients: line " NR " is wrong: " $0; exit 1 } }
        END { if (NR != count) { print "ring-clients: " NR " of " count " lines"; exit 1 } }' "$out/received" >&2 || {
        echo "ring-clients: ${producer##*/} with ${consumer##*/}, the $first first: failed" >&2
        exit 1
      }
      combinations=$((combinations + 1))
      rm "/dev/shm/$name"
    done
  done
done
echo "ring-clients: $combinations combinations of producers and consumers, $count messages each"
