#!/bin/sh
# usage: emulate.sh COMMAND...
# Runs COMMAND where the kernel runs programs for aarch64, too: by qemu, with the libraries of
# Debian's cross compiler. So a program may start another one as it does on that machine.
#
# Where binfmt_misc has no such entry, one is made in a user namespace that COMMAND alone is in, so
# that nothing on the system changes. That takes root, and Linux 6.7; else the script says so and
# ends with 77.
set -eu
: "${CC:=aarch64-linux-gnu-gcc}"
export QEMU_LD_PREFIX="${QEMU_LD_PREFIX:-/usr/aarch64-linux-gnu}"
at=/proc/sys/fs/binfmt_misc

if [ "${EMULATE_INSIDE:-}" = yes ]; then
  unset EMULATE_INSIDE
  mount -t binfmt_misc none $at
  # The ELF header of a program or a library for aarch64. F: qemu is opened now, C: a set-user-id
  # program keeps its rights.
  printf '%s' ':aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:' \
    '\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:' \
    "$(command -v qemu-aarch64-static):FC" | cat >$at/register
  exec "$@"
fi

there=$(mktemp -d)
trap 'rm -rf "$there"' EXIT
echo 'int main(void) { return 42; }' | "$CC" -x c - -o "$there/program"
status=0
"$there/program" 2>/dev/null || status=$?
if [ "$status" = 42 ]; then
  "$@"
  exit
fi
unshare --user --map-root-user --mount mount -t binfmt_misc none $at 2>/dev/null && [ "$(id -u)" = 0 ] || {
  echo "skipped: programs for aarch64 do not run here, as binfmt_misc has no entry for qemu-aarch64-static," \
    "and a user namespace cannot have its own (root, Linux 6.7)" >&2
  exit 77
}
# Its mapping of users is written from outside, all as they are: inside, one could map oneself only.
mkfifo "$there/up" "$there/go"
EMULATE_INSIDE=yes unshare --user --mount sh -c 'echo >"$1/up" && read -r _ <"$1/go" && shift && exec "$@"' \
  sh "$there" "$0" "$@" &
inside=$!
trap 'kill $inside 2>/dev/null; exit 143' TERM INT HUP
read -r _ <"$there/up"
for map in uid_map gid_map; do echo 0 0 4294967295 >/proc/$inside/$map; done
echo >"$there/go"
wait $inside
