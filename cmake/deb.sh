#!/bin/sh
# usage: deb.sh TARGET
# Debian packages in TARGET/deb, of what "make install" installs. BRIDGE=1: with villas-shm-bridge. DEBFULLNAME and DEBEMAIL are the maintainer.
# debian/ is made in TARGET/deb/build: cmake/debian, and what follows from the version, the changelog and the licences.
set -eu
cd "$(dirname "$0")/.."
unset MAKEFLAGS MFLAGS MAKELEVEL || true
: "${CARGO:=cargo}" "${BRIDGE:=}" "${DEBFULLNAME:=villas-shm maintainers}" "${DEBEMAIL:=villas-shm@packages.invalid}"
tests/install-missing.sh dh dpkg-buildpackage
deb=$(realpath -m "$1")/deb
build=$deb/build
rm -rf "$deb"/*.deb "$deb"/*.changes "$deb"/*.buildinfo "$build"
mkdir -p "$build"
cp -R cmake/debian "$build/debian"
cp -R README.md CHANGELOG.md docs etc examples "$build"
find "$build/docs" -name '*.py' -delete

# The newest release of CHANGELOG.md: "## [VERSION] - DAY".
heading=$(sed -n 's/^## \[\([0-9].*\)\] - \(.*\)$/\1 \2/p' CHANGELOG.md | head -n 1)
maintainer="$DEBFULLNAME <$DEBEMAIL>"
cat >"$build/debian/changelog" <<END
villas-shm (${heading% *}-1) unstable; urgency=medium

  * Version ${heading% *}. CHANGELOG.md says what it brings.

 -- $maintainer  $(date -u -R -d "${heading#* }")
END
sed -i "s|@maintainer@|$maintainer|" "$build/debian/control"

# crates MANIFEST PACKAGE...: what a user's machine runs of these packages, without our own.
crates() {
  manifest=$1
  shift
  "$CARGO" tree --locked --manifest-path "$manifest" --edges normal --prefix none --format '{p}: {l}' $(printf -- '-p %s ' "$@") | grep -v '(/'
}
{
  crates Cargo.toml villas-shm villas-shm-tool
  [ "$BRIDGE" != 1 ] || crates clients/bridge/Cargo.toml villas-shm-bridge
} | sort -u | sed 's/^/  /; s/ (\*)//' >"$build/crates"
sed -i -e "/^@crates@/{r $build/crates
d}" -e "/^@font@/{r clients/picture/font/LICENSE
d}" "$build/debian/copyright"

export CARGO SOURCE="$PWD"
[ "$BRIDGE" != 1 ] || export DEB_BUILD_PROFILES=pkg.villas-shm.bridge
(cd "$build" && dpkg-buildpackage -b -us -uc) >"$deb/log" 2>&1 || {
  tail -n 40 "$deb/log" >&2
  echo "make deb: dpkg-buildpackage failed; all that it said is in $deb/log" >&2
  exit 1
}
ls "$deb"/*.deb
