#!/bin/sh
# usage: tool.sh PEER LIB
# The tool in VILLASnode's place, and VILLASnode's programs (the model of them, PEER) at the other end; the other way round too.
set -eu
peer=$(realpath "$1") lib=$(realpath "$2")
here=$(dirname "$0")
. "$here/lib.sh"

# configure MODE EXEC...: a node that reads $b and writes $a.
configure() {
  mode=$1
  shift
  printf 'nodes = { n = { type = "shmem", out = { name = "%s" }, in = { name = "%s" }, queuelen = 256, samplelen = 8, mode = "%s" %s } }\n' \
    "$a" "$b" "$mode" "$*" >"$out/node.conf"
}

# tool NAME OPTION...: the node, or with -x the program.
tool() {
  name=$1
  shift
  "$lib/villas-shm" pipe "$@" "$out/node.conf" n <"$out/input.dat" >"$out/$name.dat" 2>"$out/$name.err" &
  eval "${name}_pid=$!"
  started="$started $name"
}

# What came back has the same values; the model of VILLASnode's client sets no flags, so that times and numbers are the tool's.
same_values() {
  "$lib/villas-shm" compare -e 0 -T -s "$out/input.dat" "$out/node.dat" >"$out/compare.log" ||
    fail "the samples differ: $(cat "$out/compare.log")"
}

nothing_left() {
  ls -d /dev/shm/"$wire"-* /dev/shm/sem."$wire"-* 2>/dev/null && fail "names are left behind" || :
}

for mode in pthread polling; do
  begin "the tool starts a program of VILLASnode's, which gives every sample back: $mode mode"
  "$lib/villas-shm" signal mixed -v 8 -n -l 5000 >"$out/input.dat"
  configure $mode "exec = [ \"$peer\", \"$b\", \"$a\", \"-q\", \"256\", \"-s\", \"8\", \"echo\" ]"
  tool node
  ends node 0
  same_values
  nothing_left
  passed

  for first in node program; do
    begin "the tool sends and receives, a program of VILLASnode's echoes, $first first: $mode mode"
    "$lib/villas-shm" signal mixed -v 8 -n -l 3000 >"$out/input.dat"
    configure $mode
    program() { start program "$b" "$a" -q 256 -s 8 echo; }
    if [ $first = node ]; then
      tool node
      until_true test -e "/dev/shm/$a"
      program
    else
      program
      said program 'waits for .*'
      tool node
    fi
    ends node 0
    ends program 0
    same_values
    nothing_left
    passed
  done

  begin "VILLASnode sends to the tool in the program's place and checks what comes back: $mode mode"
  : >"$out/input.dat"
  configure $mode
  start node "$a" "$b" -q 256 -s 8 --close taken send 2000
  tool program -x -r -l 2000
  ends node 0
  ends program 0
  [ "$(grep -vc '^#' "$out/program.dat")" -eq 2000 ] || fail "not all samples came"
  nothing_left
  passed

  begin "the example client gives VILLASnode every sample back: $mode mode"
  [ $mode = pthread ] && p= || p=--polling
  # shellcheck disable=SC2086
  start node "$a" "$b" -q 256 -s 8 $p --expect any send-receive 2000
  "$lib/villas-shmem" "$b" "$a" 16 2>"$out/client.err" &
  client_pid=$!
  started="$started client"
  ends node 0
  ends client 0
  grep -q '2000 samples read (0 marked redelivered), 2000 written back; ended: the node has closed or died' "$out/client.err" ||
    fail "the client did not say what it did"
  nothing_left
  passed
done
