#!/bin/sh
# usage: bridge.sh DIRECTORY BRIDGE (of the built programs; a bridge, however it was built)
# The bridge is installed with BRIDGE=1 and not without, the tool starts it from there, and it is removed with the rest.
set -eu
built=$1 bridge=$2
unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR FORCE BRIDGE || true
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

fail() {
  echo "bridge: $*" >&2
  exit 1
}

# Nothing but make and the system's programs: no cargo, as with sudo.
installed() {
  env PATH=/usr/bin:/bin make --no-print-directory "$@" LIB="$out/target/release" PREFIX="$out/usr" >"$out/log" 2>&1 ||
    { cat "$out/log" >&2; fail "make $* failed"; }
}

mkdir -p "$out/usr" "$out/target/release" "$out/target/bridge/release"
ln -s "$(realpath "$built")"/* "$out/target/release"
ln -s "$(realpath "$bridge")" "$out/target/bridge/release"
installed install
! [ -e "$out/usr/bin/villas-shm-bridge" ] || fail "it is installed without BRIDGE=1"
installed install BRIDGE=1
case $(env -i PATH=/usr/bin:/bin "$out/usr/bin/villas-shm" bridge --version) in
"villas-shm-bridge "*) ;;
*) fail "the installed tool does not start the installed bridge" ;;
esac
installed uninstall
[ -z "$(find "$out/usr" ! -type d)" ] || fail "left behind: $(find "$out/usr" ! -type d)"
echo "bridge: installed, started by the tool and removed"
