#!/bin/sh
# usage: lifecycle.sh DIRECTORY (of the built library)
# clients/lifecycle: processes A and B of the shm_open life cycle, step by step; and what each says when it is alone.
set -eu
lib=$(cd "$1" && pwd)
out=$(mktemp -d)
name=/villas-lifecycle-$$
trap 'rm -rf "$out" "/dev/shm$name"' EXIT
for process in a b; do
  ${CC:-cc} -std=c11 -Wall -Wextra -Wpedantic -Werror "clients/lifecycle/process-$process.c" -Iinclude -L"$lib" -lvillas_shm \
    -Wl,-rpath,"$lib" -o "$out/$process"
done

fail() {
  echo "lifecycle: $*" >&2
  cat "$out"/log.* >&2
  exit 1
}

! "$out/b" "$name" >"$out/log.b" 2>&1 || fail "B found a segment that A has not created"
grep -q "B: there is no POSIX segment \"${name#/}\"" "$out/log.b" || fail "B does not say that the segment is missing"

mkfifo "$out/a.out"
"$out/a" "$name" >"$out/a.out" 2>"$out/log.a.err" &
a=$!
exec 3<"$out/a.out"
read -r created <&3
[ "$created" = "A: created $name of 1024 bytes" ] || fail "A says: $created"
[ "$(stat -c '%s %a' "/dev/shm$name")" = "1024 600" ] || fail "the segment has not 1024 bytes and mode 0600"
! "$out/a" "$name" >"$out/log.second" 2>&1 || fail "a second A created the segment again"
grep -q "A: there is a POSIX segment \"${name#/}\" already" "$out/log.second" || fail "the second A does not say why"
"$out/b" "$name" >"$out/log.b" 2>&1 || fail "B failed"
cat <&3 >"$out/log.a"
wait "$a" || fail "A failed"
diff - "$out/log.a" <<END || fail "A did something else"
A: asked "is the mind meld active?"
A: got "it is"
A: removed $name
END
diff - "$out/log.b" <<END || fail "B did something else"
B: opened $name of 1024 bytes
B: was asked "is the mind meld active?"
B: answered, and detached the segment
END
[ ! -e "/dev/shm$name" ] || fail "the segment is left behind"
echo "lifecycle: processes A and B shared a segment, and A removed it"
