#!/bin/sh
# usage: demo.sh DIRECTORY (of the built programs) [DIRECTORY of the C client]
# The main job on real data: the tool, on the node side, sends a week of grid measurements through shared memory to the C client, which sends them back;
# what comes back is compared bit for bit with what was sent.
set -eu
bin=$1
client=${2:-$1}/villas-shmem
data=examples/grid-week.dat
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for mode in pthread polling; do
  name=villas-demo-$$-$mode
  cat >"$out/$mode.conf" <<END
nodes = {
  demo = {
    type = "shmem"
    name = "$name"
    samplelen = 8
    mode = "$mode"
    exec = [ "$client", "-w", "5", "$name", "64" ]
  }
}
END
  start=$(date +%s%N)
  "$bin/villas-shm" pipe --linger 20 "$out/$mode.conf" demo <"$data" >"$out/$mode.dat" 2>"$out/$mode.log" || {
    cat "$out/$mode.log" >&2
    echo "demo: the pipe failed in $mode mode" >&2
    exit 1
  }
  end=$(date +%s%N)
  "$bin/villas-shm" compare -e 0 "$data" "$out/$mode.dat"
  samples=$(grep -vc '^#' "$out/$mode.dat")
  echo "demo: $mode mode: $samples samples of 8 values went to the C client and came back bit for bit the same, in $(((end - start) / 1000000)) ms with start and stop"
done
