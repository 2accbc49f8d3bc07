#!/bin/sh
# usage: pipe.sh DIRECTORY (of the built programs) [SAMPLES] [ROUNDS]
# The tool's speed: samples of 8 values as text, through shared memory to the C client and back, as text. "alone" is the tool's parsing
# and printing with nothing between. Both run in turn, start and stop of the programs included; the median of the rounds counts.
set -eu
bin=$(cd "$1" && pwd)
samples=${2:-1000000}
rounds=${3:-5}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$bin/villas-shm" signal random -v 8 -n -l "$samples" >"$out/in.dat"
echo "bench-pipe: $samples samples of 8 values, $(($(wc -c <"$out/in.dat") / 1000000)) MB of text, median of $rounds rounds"

timed() { # appends the nanoseconds that a command takes to a file
  file=$1
  shift
  start=$(date +%s%N)
  "$@" <"$out/in.dat" >"$out/back.dat" 2>"$out/log" || {
    cat "$out/log" >&2
    exit 1
  }
  echo $(($(date +%s%N) - start)) >>"$file"
}
median() { sort -n "$1" | awk '{time[NR] = $1} END {print time[int((NR + 1) / 2)]}'; }

for mode in pthread polling; do
  name=villas-bench-pipe-$$-$mode
  cat >"$out/conf" <<END
nodes = { bench = { type = "shmem", name = "$name", samplelen = 8, mode = "$mode", vectorize = 64,
                    exec = [ "$bin/villas-shmem", "-w", "5", "$name", "64" ] } }
END
  rm -f "$out/alone" "$out/pipe"
  for _ in $(seq "$rounds"); do
    timed "$out/alone" "$bin/villas-shm" convert
    timed "$out/pipe" "$bin/villas-shm" pipe "$out/conf" bench
    "$bin/villas-shm" compare -e 0 "$out/in.dat" "$out/back.dat" # none lost, none changed
  done
  awk -v mode="$mode" -v samples="$samples" -v alone="$(median "$out/alone")" -v pipe="$(median "$out/pipe")" 'BEGIN {
    printf "bench-pipe: %-7s  %.2f M samples/s, parsing and printing alone %.2f M/s, ratio %.2f, none lost\n",
      mode, samples * 1e3 / pipe, samples * 1e3 / alone, alone / pipe}'
done
