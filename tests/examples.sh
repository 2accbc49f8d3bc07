#!/bin/sh
# usage: examples.sh DIRECTORY (of the built programs)
# The programs of examples/ with the tool as their node.
#
# Each node of poll, epoll and tokio is killed, some lose their region, and others come: samples flow
# again each time.
#
# The survivor's node is killed, ended, or robbed of its region 20 times, and the survivor itself 5
# times. After each time samples flow again; and no number of a node is missing among those that come
# back to it. tests/c/survivor.c shows the same, and that nothing is lost between one node and the
# next.
set -eu
bin=$(cd "$1" && pwd)
out=$(mktemp -d)
name=villas-examples-$$
trap 'kill -KILL $node $other $program $feeder 2>/dev/null || true; rm -rf "$out"; rm -f "/dev/shm/$name" "/dev/shm/$name.b"' EXIT
node='' other='' program='' feeder=''

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
compile() { # FILE COMPILER...
  file=$1
  shift
  "$@" -O2 -pthread -Wall -Wextra -Wpedantic -Werror "examples/$file" -Iinclude -L"$bin" -lvillas_shm \
    -Wl,-rpath,"$bin" -o "$out/${file%.*}"
}
for example in survivor threads poll; do compile "$example.c" "${CC:-cc}" -std=c11; done
compile epoll.cpp "${CXX:-c++}" -std=c++17 -Wconversion -Wshadow
"${CARGO:-cargo}" build -q --profile checks -p villas-shm --example tokio
ln -s "$(cd "${CARGO_TARGET_DIR:-target}/checks/examples" && pwd)/tokio" "$out/tokio"

# ---- threads -----------------------------------------------------------------------------------
echo "nodes = { means = { type = \"shmem\", name = \"$name\", samplelen = 2, exec = [ \"$out/threads\", \"$name\" ] } }" >"$out/means.conf"
"$bin/villas-shm" signal constant -a 3 -r 1000 | "$bin/villas-shm" pipe -l 20 "$out/means.conf" means >"$out/means.dat" 2>"$out/log.means" ||
  fail "threads did not do"
awk -F'\t' '/^#/ {next} {n++} $2 != 3 && $3 != 0 {exit 1} $2 == 3 && $3 > 0 {good++} END {exit !(n == 20 && good > 0)}' "$out/means.dat" || {
  cat "$out/means.dat" >&2
  fail "these are no means of threes"
}
echo "examples: threads read and wrote on one channel at the same time"

# ---- poll, epoll, tokio ------------------------------------------------------------------------
b=$name.b
for region in "$name" "$b"; do
  echo "nodes = { node = { type = \"shmem\", name = \"$region\", samplelen = 2, queuelen = 8 } }" >"$out/$region.conf"
done
mkfifo "$out/to.node" "$out/to.other" "$out/typed"
exec 4<>"$out/to.node" 5<>"$out/to.other" 6<>"$out/typed" # so that no input ends
start_a() { # COUNT: of the nodes so far; what it prints is in node.COUNT
  "$bin/villas-shm" pipe "$out/$name.conf" node <"$out/to.node" >"$out/node.$1" 2>"$out/log.node" &
  node=$!
}
start_b() {
  "$bin/villas-shm" pipe "$out/$b.conf" node <"$out/to.other" >"$out/other.$1" 2>"$out/log.other" &
  other=$!
}
feed() { # FIRST LAST VALUE: samples, for a node to send
  seq "$1" "$2" | awk -v value="$3" '{printf "1700000000.000000000(%d)\t%s\n", $1, value}'
}
has() { # FILE NUMBER: such a sample is there
  grep -q "($2)" "$out/$1"
}
gets() { # FILE NUMBER
  within 20 has "$@" || fail "sample $2 is not in $1: $(tail -n 3 "$out/$1")"
}
start() { # PROGRAM ARGUMENT...
  "$out/$1" "$2" "$3" <"$out/typed" >"$out/said" 2>"$out/log.program" &
  program=$!
}
says() { # COUNT LINE: the program has printed such a line so many times
  [ "$(grep -cxF -- "$2" "$out/said")" -ge "$1" ]
}
expect() { # COUNT LINE
  within 20 says "$@" || fail "\"$2\" was not printed $1 times: $(cat "$out/said")"
}
end() { # PID [SIGNAL]: ends a process, which may not want to
  kill "-${2:-KILL}" "$1"
  wait "$1" 2>/dev/null || true
}
none_missing() { # COUNT FILE...: samples 1 to COUNT are there, whoever got them
  most=$1
  shift
  (cd "$out" && cat "$@") | grep -o '([0-9]*)' | tr -d '()' | sort -nu |
    awk -v last="$most" '$1 != NR {exit 1} END {exit NR != last}' || fail "a sample is missing in $*"
}

start_a 1
start_b 1
start poll "$name" "$b"
feed 1 50 230.5 >&4
feed 1 50 7.25 >&5
expect 1 "$name: connected"
expect 1 "$b: connected"
expect 1 "$name 230.5, $b 7.25"
printf '4' >&6
printf '2.5\n1.' >&6
printf '5\n' >&6
for file in node.1 other.1; do
  within 20 grep -q '	1.5$' "$out/$file" && grep -q '	42.5$' "$out/$file" || fail "$file did not get the set points"
done
end "$node"
expect 1 "$name: the node has gone"
start_a 2
feed 51 60 231.5 >&4
expect 2 "$name: connected"
expect 1 "$name 231.5, $b 7.25"
end "$other" TERM # removes its region
expect 1 "$b: the node has gone"
expect 1 "$b: the region has gone"
start_b 2
feed 51 60 -1 >&5
expect 2 "$b: connected"
expect 1 "$name 231.5, $b -1"
echo quit >&6
wait "$program" || fail "poll did not end well"
timeout 20 "$out/poll" "$name" "$b" </dev/null >"$out/said" || fail "poll did not end with its input"
end "$node"
end "$other"
rm "/dev/shm/$name" "/dev/shm/$b"
echo "examples: poll heard of two nodes, a timer and what was typed; one node was killed, one left with its region"

start_a 1
start epoll "$name" "$b"
feed 1 100 1 >&4
expect 1 "$name: connected"
start_b 1
expect 1 "$b: connected"
gets other.1 100
stop_and_feed() { # FIRST LAST: until the stopped node has no room
  kill -STOP "$other"
  feed "$1" "$2" 1 >"$out/rest"
  cat "$out/rest" >&4 &
  feeder=$!
  within 20 is_full || fail "nothing waits for a stopped node"
}
is_full() {
  "$bin/villas-shm" show "$b" 2>&1 | grep -q '8 of 8 wait'
}
stop_and_feed 101 4000
kill -CONT "$other"
gets other.1 4000
stop_and_feed 4001 8000
end "$other"
expect 1 "$b: the node has gone"
start_b 2
expect 2 "$b: connected"
gets other.2 8000
none_missing 8000 other.1 other.2
end "$node"
expect 1 "$name: the node has gone"
rm "/dev/shm/$name"
expect 1 "$name: the region has gone"
start_a 2
expect 2 "$name: connected"
feed 8001 8100 1 >&4
gets other.2 8100
kill -TERM "$program"
wait "$program" || fail "epoll did not end well"
end "$node"
end "$other"
rm "/dev/shm/$name" "/dev/shm/$b"
echo "examples: epoll forwarded 8100 samples, waited for room, and lost none when a node was killed"

start tokio "$name" "$b"
start_a 1
start_b 1
feed 1 1000 3 >&4
feed 1 1000 4 >&5
gets node.1 1000
gets other.1 1000
end "$node"
expect 1 "$name: the node has gone"
start_a 2
expect 2 "$name: connected"
feed 1001 2000 3 >&4
gets node.2 2000
none_missing 2000 node.1 node.2
end "$other" TERM
expect 1 "$b: the region has gone"
start_b 2
expect 2 "$b: connected"
feed 1001 2000 4 >&5
gets other.2 2000
none_missing 2000 other.1 other.2
awk -F'\t' '!/^#/ && $2 != 6 {exit 1}' "$out"/node.[12] && awk -F'\t' '!/^#/ && $2 != 8 {exit 1}' "$out"/other.[12] ||
  fail "tokio did not double"
end "$program"
end "$node"
end "$other"
rm -f "/dev/shm/$name" "/dev/shm/$b"
echo "examples: tokio doubled 4000 samples of two nodes; one was killed, one left with its region"

# ---- survivor ----------------------------------------------------------------------------------
echo "nodes = { survivor = { type = \"shmem\", name = \"$name\", samplelen = 8 } }" >"$out/survivor.conf"
start_program() {
  "$out/survivor" "$name" 2>>"$out/log.program" &
  program=$!
}
# Each node has a pipe of its own: a writer that is slow to see its reader die would go on with the
# next one, in the middle of its lines.
start_node() { # ROUND: its samples have the numbers from ROUND0000000 on
  : >"$out/output.$1"
  mkfifo "$out/input.$1"
  awk -v first="${1}0000000" 'BEGIN {for (k = 0; ; k++) printf "1700000000.000000000(%d)\t1.0\n", first + k}' >"$out/input.$1" 2>/dev/null &
  "$bin/villas-shm" pipe "$out/survivor.conf" survivor <"$out/input.$1" >"$out/output.$1" 2>"$out/log.$1" &
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
