#!/bin/sh
# usage: dist.sh TARGET
# "make dist" of two clones in different folders gives the same bytes; what is unpacked builds and runs without a network and without
# anything in CARGO_HOME. "cargo package" of the library has what a build needs, and nothing else.
set -eu
cd "$(dirname "$0")/.."
: "${CARGO:=cargo}"
unset MAKEFLAGS MFLAGS MAKELEVEL CARGO_TARGET_DIR || true
fail() {
  echo "dist: $*" >&2
  exit 1
}
skip() {
  echo "dist: skipped: $*"
  exit 0
}
[ -e .git ] || skip "this is no git clone"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
base=$(realpath -m "$1")/test-dist
rm -rf "$base"
mkdir -p "$base"
trap 'rm -rf "$base"' EXIT
log=$base/log

# quiet COMMAND: what it says is shown if it fails.
quiet() {
  "$@" >"$log" 2>&1 || {
    tail -n 40 "$log" >&2
    fail "failed: $*"
  }
}

one=$base/one two="$base/an other/folder"
for clone in "$one" "$two"; do
  quiet git clone -q . "$clone"
  quiet git -C "$clone" checkout -q --detach "$(git rev-parse HEAD)"
done
make -C "$one" dist CARGO="$CARGO" >"$log" 2>&1 || {
  ! grep -qE 'failed to download|Could not resolve|failed to get' "$log" || skip "no network to fetch crates: $(tail -n 2 "$log")"
  cat "$log" >&2
  fail "make dist failed"
}
(umask 077 && TZ=Asia/Tokyo LC_ALL=C.UTF-8 quiet make -C "$two" dist CARGO="$CARGO")
archive=target/dist/villas-shm-$version.tar.xz
cmp "$one/$archive" "$two/$archive" || fail "two clones gave different archives"
echo "dist: two clones gave the same $(stat -c %s "$one/$archive") bytes"
rm -rf "$two"

tar -xf "$one/$archive" -C "$base"
tree=$base/villas-shm-$version
(cd "$one" && git ls-files | sort) >"$base/committed"
(cd "$tree" && find . -path ./vendor -prune -o -path ./.cargo -prune -o ! -type d -printf '%P\n' | sort) | diff "$base/committed" - >"$log" ||
  { cat "$log" >&2; fail "the archive has other files than the commit"; }

# No network, no home, and of the path only the toolchain and the system. The build is not optimised: whether it ends is the question.
mkdir "$base/home"
alone=
for namespace in "unshare -n" "unshare -rn"; do
  ! $namespace true 2>/dev/null || { alone=$namespace; break; }
done
[ -n "$alone" ] || echo "dist: no permission for a network namespace: cargo is told to be offline, nothing more"
offline() {
  (cd "$tree" && quiet $alone env -i PATH="$(rustc --print sysroot)/bin:/usr/bin:/bin" HOME="$base/home" CARGO_HOME="$base/home/cargo" \
    CARGO_NET_OFFLINE=true CARGO_BUILD_JOBS="${CARGO_BUILD_JOBS:-}" CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=0 \
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 "$@")
}
offline make build
[ "$("$tree/target/release/villas-shm" -V)" = "villas-shm $version" ] || fail "the tool that was built is another version"
offline tests/demo.sh target/release
echo "dist: what is unpacked builds without a network, and the demo runs"
if command -v dh >/dev/null; then
  offline make deb
  echo "dist: so do Debian packages"
else
  echo "dist: skipped the Debian packages: no debhelper"
fi
for workspace in clients/bridge clients/python fuzz; do
  offline cargo check --locked --manifest-path $workspace/Cargo.toml --target-dir target/check
done
echo "dist: so do the bridge, the Python package and the fuzzers, as far as cargo check says"
rm -rf "$tree"

quiet "$CARGO" package --locked -p villas-shm --manifest-path "$one/Cargo.toml" --target-dir "$base/package"
crate=$base/package/package/villas-shm-$version.crate
tar -tzf "$crate" | sed "s|^villas-shm-$version/||" | sort >"$base/packed"
for file in Cargo.toml build.rs cbindgen.toml README.md LICENSE CHANGELOG.md include/villas/shmem.h include/villas/shm.hpp src/lib.rs; do
  grep -qx "$file" "$base/packed" || fail "the crate lacks $file"
done
! grep -vE '^(src|include)/|^(build\.rs|cbindgen\.toml|README\.md|LICENSE|CHANGELOG\.md|docs/images/top\.svg|Cargo\.(toml|toml\.orig|lock)|\.cargo_vcs_info\.json)$' "$base/packed" ||
  fail "the crate has these files, which a build does not need"
[ "$(stat -c %s "$crate")" -lt 2000000 ] || fail "the crate has $(stat -c %s "$crate") bytes"
echo "dist: the crate builds from its own $(wc -l <"$base/packed") files, $(stat -c %s "$crate") bytes"
