#!/usr/bin/env bash
# usage: formats.sh DIRECTORY (of the built programs) [SAMPLES] [ROUNDS]
# The speed of `convert` from villas.human into each format, and from each back, beside reading and printing villas.human alone.
# All run in turn, start of the program included; the median of the rounds counts. Times are the processor's, which one
# thread takes: what else runs on the machine changes them little.
set -eu
bin=$(cd "$1" && pwd)
samples=${2:-500000}
rounds=${3:-5}
out=$(mktemp -d "${TMPDIR:-/dev/shm}/villas-bench-formats-XXXXXX")
trap 'rm -rf "$out"' EXIT
"$bin/villas-shm" signal random -v 8 -n -l "$samples" >"$out/in.dat"
echo "bench-formats: $samples samples of 8 values, $(($(wc -c <"$out/in.dat") / 1000000)) MB of text, median of $rounds rounds"

timed() { # appends the seconds that a command takes to a file
  file=$1
  shift
  TIMEFORMAT='%3U %3S'
  { time "$@" 2>"$out/log"; } 2>"$out/time" || {
    cat "$out/log" >&2
    exit 1
  }
  awk '{print $1 + $2}' "$out/time" >>"$file"
}
median() { sort -n "$1" | awk '{time[NR] = $1} END {print time[int((NR + 1) / 2)]}'; }

formats="dat csv tsv json bin arrow"
for _ in $(seq "$rounds"); do
  for format in $formats; do
    timed "$out/to-$format" "$bin/villas-shm" convert "$out/in.dat" "$out/file.$format"
    timed "$out/from-$format" "$bin/villas-shm" convert "$out/file.$format" "$out/back.dat"
    case $format in
      bin) ;; # Rounds floats to 32 bits.
      *) "$bin/villas-shm" compare -e 0 "$out/in.dat" "$out/back.dat" ;;
    esac
    wc -c <"$out/file.$format" >"$out/size-$format"
    rm -f "$out/file.$format" "$out/back.dat"
  done
done
for format in $formats; do
  awk -v format="$format" -v samples="$samples" -v alone="$(median "$out/to-dat")" -v size="$(cat "$out/size-$format")" \
    -v to="$(median "$out/to-$format")" -v from="$(median "$out/from-$format")" 'BEGIN {
    printf "bench-formats: %-5s  to %.2f M samples/s, ratio %.2f; from %.2f M samples/s, ratio %.2f; %.0f bytes a sample\n",
      format, samples / 1e6 / to, alone / to, samples / 1e6 / from, alone / from, size / samples}'
done
