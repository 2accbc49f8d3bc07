#!/bin/sh
# usage: readme.sh DIRECTORY (of the built programs)
# The README's programs compile without a warning, and do what the README says, with the README's configuration. The README's sessions with
# the tool go as printed there, but for times, rates, process numbers and the user.
set -eu
bin=$(cd "$1" && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"; rm -f /dev/shm/doubler /dev/shm/feeder /dev/shm/meter /dev/shm/board' EXIT
block() { # the first block behind a line that matches
  awk -v from="$1" '$0 ~ from {found = 1} found && /^```/ {if (inside) exit; inside = 1; next} inside' README.md
}
block '^This one doubles' >"$out/doubler.c"
block '^with `doubler.conf`' >"$out/doubler.conf"
${CC:-cc} -std=c11 -Wall -Wextra -Wpedantic -Werror "$out/doubler.c" -Iinclude -L"$bin" -lvillas_shm -Wl,-rpath,"$bin" -o "$out/doubler"
lines=$(wc -l <"$out/doubler.c")
root=$(pwd)
(cd "$out" && "$bin/villas-shm" pipe doubler.conf doubler <"$root/examples/grid-week.dat" >"$out/doubled.dat" 2>"$out/log") || {
  cat "$out/log" >&2
  exit 1
}
# "+OFFSET" behind the timestamp is when the sample came back.
awk -F'\t' '/^#/ {next} {printf "%s", $1; for (i = 2; i <= NF; i++) printf "\t%.17g", 2 * $i; print ""}' examples/grid-week.dat >"$out/expected.dat"
"$bin/villas-shm" compare -e 0 "$out/expected.dat" "$out/doubled.dat"
timeless() {
  sed -E "s/[0-9]{10}\.[0-9]{9}([+-][0-9]+\.[0-9]{9})?/TIME\1/; s/[+-][0-9]+\.[0-9]{9}\(/+OFFSET(/; s/[0-9.]+ s(, [0-9]+ samples\/s)?\$/RATE/
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
session() { # the first block behind a line that matches
  block "$1" >"$out/session"
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
  timeless "$out/actual" | diff -u "$out/said" - || {
    echo "readme: the session in README.md is not what happens" >&2
    exit 1
  }
  echo "readme: the session has $(grep -c '^\$' "$out/session") commands, and goes as printed"
}
tries=10
until session '^what comes back:'; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || {
    echo "readme: the signal has missed steps in each of ten sessions" >&2
    exit 1
  }
done
session '^`villas-shm ls` lists'
block '^## Segments' >"$out/board.c"
${CC:-cc} -std=c11 -Wall -Wextra -Wpedantic -Werror "$out/board.c" -Iinclude -L"$bin" -lvillas_shm -Wl,-rpath,"$bin" -o "$out/board"
block '^Whichever is first' >"$out/said"
(cd "$out" && head -n 1 said && timeout 20 sh -c "$(sed -n 's/^\$ //p' said)") | diff -u "$out/said" -
[ ! -e /dev/shm/board ]
echo "readme: the program of a segment does what is printed there"
echo "readme: the program of $lines lines doubled $(grep -vc '^#' "$out/doubled.dat") samples"

block '^## A peer that is not trusted' >"$out/sealed.c"
${CC:-cc} -D_DEFAULT_SOURCE -std=c11 -Wall -Wextra -Wpedantic -Werror "$out/sealed.c" -Iinclude -L"$bin" -lvillas_shm -Wl,-rpath,"$bin" -o "$out/sealed"
[ "$(timeout 20 "$out/sealed")" = 'the program got 49.98' ]
echo "readme: a region was handed over by its descriptor"

block '^## Rings in C' >"$out/meter.cpp"
${CXX:-c++} -std=c++17 -Wall -Wextra -Wpedantic -Werror "$out/meter.cpp" -Iinclude -L"$bin" -lvillas_shm -Wl,-rpath,"$bin" -o "$out/meter"
"$out/meter" send
said=$(timeout 20 "$out/meter")
grep -qF "./meter        # $said" README.md || {
  echo "readme: the consumer printed \"$said\"" >&2
  exit 1
}
[ ! -e /dev/shm/meter ] || {
  echo "readme: /dev/shm/meter is still there" >&2
  exit 1
}
echo "readme: the ring's program printed \"$said\""
