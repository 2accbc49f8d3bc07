# shellcheck shell=sh
# For the tests that let processes talk over the wire layout; sourced, with $peer set. Each process has a name in the test,
# its output is in $out/NAME.log and $out/NAME.err, its process id in $NAME_pid. Each has 20 seconds to end.
#
# A region is named after the test's process id and removed at the end, however that comes.
out=$(mktemp -d)
wire=villas-wire-$$
test_name=
started=
left=0

clean_up() {
  for name in $started; do
    eval "kill -KILL \$${name}_pid 2>/dev/null" || :
  done
  # What was not waited for is waited for here: the shell says nothing of a job that it killed.
  wait 2>/dev/null || :
  rm -f /dev/shm/"$wire"-* /dev/shm/sem."$wire"-*
}
trap 'clean_up; rm -rf "$out"' EXIT
trap 'exit 1' INT TERM HUP

fail() {
  echo "FAILED  $test_name: $*" >&2
  for log in "$out"/*.log "$out"/*.err; do
    [ -s "$log" ] && sed "s|^|        $(basename "$log"): |" "$log" >&2
  done
  exit 1
}

# begin SENTENCE: the test that follows, with nothing left of the one before. Sets the names $a and $b.
begin() {
  clean_up
  started=
  rm -f "$out"/*.log "$out"/*.err
  test_name=$1
  left=$((left + 1))
  a=$wire-$left-a b=$wire-$left-b
}

passed() {
  echo "ok      $test_name"
}

# start NAME ARGUMENT...: a peer in the background. Not under timeout(1), so that $NAME_pid is the peer itself; what the
# test waits for has the deadline.
start() {
  name=$1
  shift
  "$peer" "$@" >"$out/$name.log" 2>"$out/$name.err" &
  eval "${name}_pid=$!"
  started="$started $name"
}

# until_true COMMAND...: tries again until it succeeds; for 20 seconds, not counting those in which the machine stands still or has no time for it.
until_true() {
  tries=2000
  until "$@"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || fail "waited in vain for: $*"
    sleep 0.01
  done
}

has_said() { grep -qs "^$2\$" "$out/$1.log"; }

# said NAME PATTERN: waits until the process has printed that line.
said() { until_true has_said "$1" "$2"; }

not_said() {
  if has_said "$1" "$2"; then
    fail "$1 said \"$2\""
  fi
}

pid() { eval "echo \$${1}_pid"; }

running() { kill -0 "$(pid "$1")" 2>/dev/null && ! grep -q '^State:.*Z' "/proc/$(pid "$1")/status" 2>/dev/null; }

has_ended() { ! running "$1"; }

# ends NAME STATUS
ends() {
  until_true has_ended "$1"
  status=0
  wait "$(pid "$1")" 2>/dev/null || status=$?
  eval "${1}_pid=" # may be another's by now
  [ "$status" -eq "$2" ] || fail "$1 ended with status $status, not $2"
}

send_signal() { kill -"$2" "$(pid "$1")"; }

# Its main thread waits in a futex, where it stays unless somebody wakes it (202: futex on x86-64).
in_futex() { grep -q '^202 ' "/proc/$(pid "$1")/syscall"; }

no_signal_pends() { grep -q '^ShdPnd:[[:space:]]*0*$' "/proc/$(pid "$1")/status"; }

is_stopped() { grep -q '^State:[[:space:]]*T' "/proc/$(pid "$1")/status"; }
