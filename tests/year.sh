#!/bin/sh
# usage: year.sh DIRECTORY (of the built programs)
# A year of data (the week, 53 times, with timestamps and numbers that go on) goes round in both modes, one at a time and many at a time, and comes back bit for bit the same.
set -eu
bin=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for week in $(seq 0 52); do
  awk -F'\t' -v week="$week" '/^#/ {if (week == 0) print; next} {
    split($1, stamp, /[.()]/)
    printf "%d.%s(%d)", stamp[1] + week * 604800, stamp[2], stamp[3] + week * 672
    for (i = 2; i <= NF; i++) printf "\t%s", $i
    print ""}' examples/grid-week.dat
done >"$out/year.dat"
for mode in pthread polling; do
  for vectorize in 1 5 64; do
    name=villas-year-$$-$mode-$vectorize
    cat >"$out/conf" <<END
nodes = { year = { type = "shmem", name = "$name", samplelen = 8, mode = "$mode", vectorize = $vectorize,
                   exec = [ "$bin/villas-shmem", "-w", "5", "$name", "$vectorize" ] } }
END
    "$bin/villas-shm" pipe --linger 20 "$out/conf" year <"$out/year.dat" >"$out/back.dat" 2>"$out/log" || {
      cat "$out/log" >&2
      exit 1
    }
    "$bin/villas-shm" compare -e 0 "$out/year.dat" "$out/back.dat"
  done
done
echo "year: $(grep -vc '^#' "$out/back.dat") samples came back the same, in both modes, vectorize 1, 5 and 64"
