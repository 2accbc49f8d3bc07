#!/bin/sh
# usage: readme.sh DIRECTORY (of the built programs)
# The programs of the README and of docs/ compile without a warning and do what is said there, with the configurations there. The
# sessions go as printed, but for times, rates, process numbers and the user. tests/docs.py sees that no block is left out.
set -eu
bin=$(cd "$1" && pwd)
root=$(pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"; rm -f /dev/shm/doubler /dev/shm/feeder /dev/shm/meter /dev/shm/board /dev/shm/volts /dev/shm/survivor /dev/shm/measured' EXIT

block() { # NAME FILE
  tests/block.sh "$@"
}
fail() {
  echo "readme: $*" >&2
  exit 1
}
compile() { # SOURCE [OPTION...]: as strictly as the compilers can
  source=$1
  shift
  case $source in
    *.cpp) set -- "${CXX:-c++}" -std=c++17 "$@" ;;
    *) set -- "${CC:-cc}" -std=c11 "$@" ;;
  esac
  "$@" -Wall -Wextra -Wpedantic -Werror "$out/$source" -Iinclude -L"$bin" -lvillas_shm -Wl,-rpath,"$bin" -o "$out/${source%.*}"
}
# "+OFFSET" behind the timestamp is when the sample came back.
awk -F'\t' '/^#/ {next} {printf "%s", $1; for (i = 2; i <= NF; i++) printf "\t%.17g", 2 * $i; print ""}' examples/grid-week.dat >"$out/expected.dat"
doubles() { # PROGRAM...: as the node's exec program, it doubles the week
  list=$(printf '"%s", ' "$@")
  echo "nodes = { doubler = { type = \"shmem\", name = \"doubler\", samplelen = 8, exec = [ ${list%, } ] } }" >"$out/week.conf"
  (cd "$out" && timeout 60 "$bin/villas-shm" pipe week.conf doubler <"$root/examples/grid-week.dat" >doubled.dat 2>log) || {
    cat "$out/log" >&2
    fail "$* did not go on to the end"
  }
  "$bin/villas-shm" compare -e 0 "$out/expected.dat" "$out/doubled.dat"
}

# ---- the demo, and the README's program in three languages ------------------------------------------
block demo README.md | sed 's/[0-9]* ms/MS/' >"$out/said"
tests/demo.sh "$bin" | sed 's/[0-9]* ms/MS/' | diff -u "$out/said" - || fail "the demo prints something else"
block doubler.c README.md >"$out/doubler.c"
block doubler.conf README.md >"$out/doubler.conf"
mkdir "$out/target"
ln -s "$root/include" "$out/include"
ln -s "$bin" "$out/target/release"
block doubler-build README.md >"$out/build.sh"
(cd "$out" && sh -e build.sh)
doubles ./doubler # as the README builds it
compile doubler.c
(cd "$out" && "$bin/villas-shm" pipe doubler.conf doubler <"$root/examples/grid-week.dat" >doubled.dat 2>log) || {
  cat "$out/log" >&2
  fail "the README's configuration does not do"
}
"$bin/villas-shm" compare -e 0 "$out/expected.dat" "$out/doubled.dat"
block doubler.cpp docs/cpp.md >"$out/doubler-cpp.cpp"
compile doubler-cpp.cpp
doubles ./doubler-cpp
block doubler.rs docs/rust.md >"$out/doubler.rs"
rustc --edition 2024 -D warnings --extern "villas_shm=$bin/libvillas_shm.rlib" -L "dependency=$bin/deps" "$out/doubler.rs" -o "$out/doubler-rust"
doubles ./doubler-rust
echo "readme: the program in C, C++ and Rust doubled $(grep -vc '^#' "$out/doubled.dat") samples"

# ---- the sessions ----------------------------------------------------------------------------------
timeless() {
  sed -E "s/[0-9]{10}(,|, )[0-9]{1,9}([],])/TIME\2/; s/(p50|p99|max) [0-9.]+ (µs|ms|s)/\1 DELAY/g; s/[0-9]{10}\.[0-9]{9}([+-][0-9]+\.[0-9]{9})?/TIME\1/; s/[+-][0-9]+\.[0-9]{9}\(/+OFFSET(/; s/[0-9.]+ s(, [0-9]+ samples\/s)?\$/RATE/
    s/node [0-9]+ \(/node PID (/; s/\b[0-9]+s\b/AGE/; s/\b(root|$(id -un))\b/USER/; s/ +0\+?( |$)/ 0\1/; s/(waits|wake-ups) [0-9]+/\1 COUNT/g
    s/ +/ /g" "$1"
}
# For the node that is killed after a second: not before its samples are there, however long it takes to start.
mkdir "$out/bin"
cat >"$out/bin/timeout" <<'END'
#!/bin/sh
shift 3
exec 3<&0 # which is not the standard input of what begins in the background
"$@" <&3 &
tries=1000
until villas-shm show feeder 2>&1 | grep -q '3 of 512 wait'; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || exit 1
done
kill -KILL $!
wait $! 2>/dev/null
kill -KILL $$
END
chmod +x "$out/bin/timeout"
session() { # NAME FILE
  block "$1" "$2" >"$out/session"
  (
    cd "$out"
    PATH=$out/bin:$bin:$PATH
    sed -n 's/^\$ //p' session | while IFS= read -r command; do
      echo "$ $command"
      # "echo $?" wants the status of the command before.
      sh -c "(exit ${status:-0}); $command" 2>&1 </dev/null && status=0 || status=$?
    done >actual
  )
  # A machine that stands still for a tenth of a second misses a step of a signal, as it says.
  grep -q '^villas-shm: missed ' "$out/actual" && return 1
  timeless "$out/session" >"$out/said"
  timeless "$out/actual" | diff -u "$out/said" - || fail "the session $1 in $2 is not what happens"
  echo "readme: the session $1 has $(grep -c '^\$' "$out/session") commands, and goes as printed"
}
patiently() { # NAME FILE: a session with a signal
  tries=10
  until session "$@"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || fail "the signal has missed steps in each of ten sessions"
  done
}
patiently doubler-session README.md
patiently compare-session docs/tool.md
session convert-session docs/tool.md
session record-session docs/tool.md
session ls-session docs/tool.md
block board.c docs/segments.md >"$out/board.c"
compile board.c
session board-session docs/segments.md
[ ! -e /dev/shm/board ]
block meter.cpp docs/cpp.md >"$out/meter.cpp"
compile meter.cpp
session meter-session docs/cpp.md
[ ! -e /dev/shm/meter ] || fail "/dev/shm/meter is still there"

# ---- other programs --------------------------------------------------------------------------------
block sealed.c docs/untrusted-peers.md >"$out/sealed.c"
compile sealed.c -D_DEFAULT_SOURCE
[ "$(timeout 20 "$out/sealed")" = 'the program got 49.98' ]
echo "readme: a region was handed over by its descriptor"
block signals.c docs/channels.md >"$out/signals.c"
compile signals.c
timeout 20 "$out/signals" >"$out/actual"
sed -n '/^It prints$/,/^## /p' docs/channels.md | sed '1,/^```text/d; /^```/,$d' | diff -u - "$out/actual" || fail "the program of docs/channels.md prints something else"
echo "readme: a program saw what its node's values are"
block volts.c docs/rings.md >"$out/volts.c"
compile volts.c
(cd "$out" && timeout 20 ./volts & timeout 20 "$out/volts" 230.5; wait $!) >"$out/actual"
[ "$(cat "$out/actual")" = '230.5 V' ] || fail "the ring's consumer printed \"$(cat "$out/actual")\""
echo "readme: a message went through a ring"

# What the documents show of the examples is what tests/examples.sh and tests/c/survivor.c run.
shown_of() { # EXAMPLE NAME FILE
  case $(grep . "$1") in
    *"$(block "$2" "$3")"*) ;;
    *) fail "the block $2 of $3 is not what $1 has" ;;
  esac
}
shown_of examples/survivor.c again docs/channels.md
shown_of examples/survivor.c run docs/channels.md
shown_of examples/poll.c receive docs/event-loops.md
shown_of examples/tokio.rs async-read docs/event-loops.md

# ---- configurations and commands -------------------------------------------------------------------
block signals.conf docs/configuration.md >"$out/signals.conf"
"$bin/villas-shm" signal constant -n -l 1 --node "$out/signals.conf" grid >"$out/actual"
grep -q 'u\[V\]' "$out/actual" || fail "the configuration gives $(cat "$out/actual")"
block villasnode docs/villasnode.md >"$out/villasnode.sh"
PATH=$bin:$PATH timeout 60 sh -e "$out/villasnode.sh" >"$out/actual" 2>"$out/log" || {
  cat "$out/log" >&2
  fail "the command of docs/villasnode.md failed"
}
"$bin/villas-shm" compare -e 0 examples/grid-week.dat "$out/actual"
block survivor examples/README.md | sed "s,[a-z]*\.dat,$out/&,; s,-o survivor,-o $out/survivor,; s,^\./,$out/," >"$out/survivor.sh"
timeout 60 sh -e "$out/survivor.sh" 2>"$out/log" || {
  cat "$out/log" >&2
  fail "the survivor of examples/README.md failed"
}
for file in first second; do
  [ "$(grep -vc '^#' "$out/$file.dat")" = 50 ] || fail "the survivor of examples/README.md gave back too few in $file.dat"
done
block week examples/README.md | sed "s,back.dat,$out/back.dat,g" >"$out/week.sh"
PATH=$bin:$PATH timeout 60 sh -e "$out/week.sh" 2>"$out/log" || {
  cat "$out/log" >&2
  fail "the commands of examples/README.md failed"
}
echo "readme: the configurations and commands of the documents do what they say"
