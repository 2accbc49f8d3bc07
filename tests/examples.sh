#!/bin/sh
# usage: examples.sh DIRECTORY (of the built programs)
# The programs of examples/ with the tool as their node. The survivor's node is killed, ended, or
# robbed of its region 20 times, and the survivor itself 5 times. After each time samples flow again;
# and no number of a node is missing among those that come back to it.
# tests/c/survivor.c shows the same, and that nothing is lost between one node and the next.
set -eu
bin=$(cd "$1" && pwd)
out=$(mktemp -d)
name=villas-examples-$$
trap 'kill -KILL $node $program 2>/dev/null || true; rm -rf "$out"; rm -f "/dev/shm/$name"' EXIT
node='' program=''

fail() {
  echo "examples: $*" >&2
  cat "$out"/log.* >&2
  exit 1
}
within() { # SECONDS CONDITION...: waits until the command succeeds
  end=$(($(date +%s) + $1))
  shift
  until "$@"; do
    [ "$(date +%s)" -lt "$end" ] || return 1
    sleep 0.01
  done
}
compile() { # NAME
  "${CC:-cc}" -std=c11 -O2 -pthread -Wall -Wextra -Wpedantic -Werror "examples/$1.c" -Iinclude -L"$bin" -lvillas_shm \
    -Wl,-rpath,"$bin" -o "$out/$1"
}
for example in survivor threads; do compile "$example"; done

# ---- threads -----------------------------------------------------------------------------------
echo "nodes = { means = { type = \"shmem\", name = \"$name\", samplelen = 2, exec = [ \"$out/threads\", \"$name\" ] } }" >"$out/means.conf"
"$bin/villas-shm" signal constant -a 3 -r 1000 | "$bin/villas-shm" pipe -l 20 "$out/means.conf" means >"$out/means.dat" 2>"$out/log.means" ||
  fail "threads did not do"
awk -F'\t' '/^#/ {next} {n++} $2 != 3 && $3 != 0 {exit 1} $2 == 3 && $3 > 0 {good++} END {exit !(n == 20 && good > 0)}' "$out/means.dat" || {
  cat "$out/means.dat" >&2
  fail "these are no means of threes"
}
echo "examples: threads read and wrote on one channel at the same time"

# ---- survivor ----------------------------------------------------------------------------------
echo "nodes = { survivor = { type = \"shmem\", name = \"$name\", samplelen = 8 } }" >"$out/survivor.conf"
mkfifo "$out/input"
start_program() {
  "$out/survivor" "$name" 2>>"$out/log.program" &
  program=$!
}
start_node() { # ROUND: its samples have the numbers from ROUND0000000 on
  : >"$out/output.$1"
  awk -v first="${1}0000000" 'BEGIN {for (k = 0; ; k++) printf "1700000000.000000000(%d)\t1.0\n", first + k}' >"$out/input" 2>/dev/null &
  "$bin/villas-shm" pipe "$out/survivor.conf" survivor <"$out/input" >"$out/output.$1" 2>"$out/log.$1" &
  node=$!
}
came() { # ROUND COUNT: so many of its samples have come back
  [ "$(grep -c "($1[0-9]\{7\})" "$out/output.$1")" -ge "$2" ]
}
flows() { # ROUND: samples come back, and 1000 more
  within 20 came "$1" 1 || fail "nothing came back in round $1"
  count=$(grep -c "($1[0-9]\{7\})" "$out/output.$1")
  within 20 came "$1" $((count + 1000)) || fail "the flow ended in round $1"
}
start_program
killed=0 ended=0 removed=0 successors=0
for round in $(seq 11 30); do
  start_node "$round"
  flows "$round"
  if [ $((round % 4)) = 0 ]; then
    kill -KILL "$program"
    wait "$program" 2>/dev/null || true
    start_program
    successors=$((successors + 1))
    flows "$round"
  fi
  case $((round % 5)) in
  1) # ends as it should, and removes its region
    kill -TERM "$node"
    wait "$node" || fail "the node of round $round did not end well"
    ended=$((ended + 1))
    ;;
  2) # is killed, and somebody removes the region
    kill -KILL "$node"
    wait "$node" 2>/dev/null || true
    rm "/dev/shm/$name"
    removed=$((removed + 1))
    ;;
  *)
    kill -KILL "$node"
    wait "$node" 2>/dev/null || true
    killed=$((killed + 1))
    ;;
  esac
  # A line is whole if another one begins behind it; what came again after a kill counts once.
  sed '$d' "$out/output.$round" | grep -o "($round[0-9]\{7\})" | tr -d '()' | sort -nu |
    awk -v next_is="${round}0000000" '$1 != next_is++ {exit 1}' || fail "a sample of round $round is missing"
done
kill -TERM "$program"
wait "$program" || fail "the survivor did not end well"
echo "examples: the survivor saw $killed nodes killed, $ended ended, $removed killed with their region removed, and was killed $successors times"
