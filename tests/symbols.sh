#!/bin/sh
# usage: symbols.sh DIRECTORY (of libvillas_shm.so)
# The shared library exports what tests/symbols.txt lists and nothing else, and needs nothing but libc and libgcc_s.
set -eu
lib=$1/libvillas_shm.so
fail() {
  echo "symbols: $lib $1" >&2
  exit 1
}
nm -D --defined-only "$lib" | awk '{print $3}' | LC_ALL=C sort | diff tests/symbols.txt - || fail "does not export what tests/symbols.txt lists"
readelf -d "$lib" | grep -q 'SONAME.*\[libvillas_shm\.so\.0\]' || fail "has no SONAME libvillas_shm.so.0"
! readelf -d "$lib" | grep -E 'R(UN)?PATH' || fail "has a search path"
# What it names itself, and what the loader finds by that.
needed=$({
  readelf -d "$lib" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p'
  ldd "$lib" | awk '{sub(".*/", "", $1); print $1}'
} | sort -u)
echo "$needed" | grep -q '^libc\.so' || fail "does not name libc: $needed"
others=$(echo "$needed" | grep -Ev '^(libc\.so\.6|libgcc_s\.so\.1|ld-linux-[a-z0-9-]*\.so\.[0-9]|linux-vdso\.so\.1)$' || true)
[ -z "$others" ] || fail "needs $others"
echo "symbols: $(wc -l <tests/symbols.txt) functions exported, as listed; needs libc and libgcc_s only"
