#!/bin/sh
# usage: install.sh install|uninstall BUILT   (in the root of the repository; BUILT is target/release)
#
# From the environment: PREFIX, LIBDIR, INCLUDEDIR, BINDIR, which are absolute; DESTDIR, put before all of them; FORCE=1; BRIDGE=1;
# PACKAGE=1: a stage for a distribution's package, which has a list of its files, and whose loader finds the library.
#
# What was installed stands in LIBDIR/villas_shm/manifest: a fingerprint (the checksum of a file, the target of a link) and a path, relative
# to LIBDIR where both lie below PREFIX, so that an installation can be moved. A file counts as ours while it has the fingerprint of the
# manifest, or of what would be put in its place; any other is somebody else's. Nothing is changed before all has been looked at, and new
# files are renamed into place, so that a program that runs keeps the library that it has.
set -eu
umask 022
export LC_ALL=C
action=$1 built=$2 cmake=$(dirname "$0")
: "${DESTDIR:=}" "${FORCE:=}" "${BRIDGE:=}" "${PACKAGE:=}"
tab=$(printf '\t')
pending=.villas-shm-pending.

# No -ldl and the like is needed with glibc 2.34 or newer, where they are empty. libgcc, for unwinding, is added by the compiler driver.
libs_private='-lpthread -ldl -lrt -lutil -lm'

die() {
  echo "make $action: $*" >&2
  exit 1
}

# absolute NAME VALUE: without double or trailing slashes.
absolute() {
  case $2 in
  /*) ;;
  *) die "$1=$2 is not an absolute path" ;;
  esac
  case $2/ in
  */../* | */./*) die "$1=$2 has a . or .. in it; give it without" ;;
  *[\"\$\;\`\\@]* | *"$tab"* | *'
'*) die "$1=$2 has a character that the files for pkg-config and CMake cannot hold" ;;
  esac
  printf '%s\n' "$2" | tr -s / | sed 's|/$||'
}

# below PATH: its part behind PREFIX; fails where it has none.
below() {
  case $1 in
  "$PREFIX") ;;
  "$PREFIX"/*) printf '%s' "${1#"$PREFIX"/}" ;;
  *) return 1 ;;
  esac
}

# from_libdir PATH: relative to LIBDIR, or as it is.
from_libdir() {
  if [ -n "$up" ] && below "$1" >/dev/null; then
    printf '%s/%s\n' "$up" "$(below "$1")"
  else
    printf '%s\n' "$1"
  fi
}

# to_path ENTRY: the opposite.
to_path() {
  entry=$1 base=$LIBDIR
  case $entry in
  /*) base= entry=${entry#/} ;;
  esac
  while [ "$entry" != "${entry#../}" ]; do
    entry=${entry#../} base=${base%/*}
  done
  base=$base/$entry
  printf '%s\n' "${base%/}"
}

fingerprint() {
  if [ -L "$1" ]; then
    printf -- '->%s\n' "$(readlink "$1")"
  elif [ -f "$1" ] && [ -r "$1" ]; then
    sha256sum <"$1" | cut -d' ' -f1
  else
    echo other
  fi
}

exists() {
  [ -e "$1" ] || [ -L "$1" ]
}

# recorded PATH: its fingerprint in the manifest, if it has one.
recorded() {
  path=$1 awk -F'\t' '$2 == ENVIRON["path"] && $1 != "directory" {print $1}' "$work/old"
}

# Files may be created and removed in the directory, or in the nearest one above it that exists.
require_writable() {
  directory=$1
  until exists "$directory"; do
    directory=$(dirname "$directory")
  done
  [ -d "$directory" ] || die "$directory is not a directory"
  [ -w "$directory" ] || die "no permission to write in $directory. Try sudo, or another place: PREFIX=\$HOME/.local"
}

# The old manifest with absolute paths, empty where there is none.
read_manifest() {
  : >"$work/old"
  [ -e "$manifest" ] || return 0
  while IFS=$tab read -r print entry; do
    printf '%s\t%s\n' "$print" "$(to_path "$entry")"
  done <"$manifest" >"$work/old"
}

# put MODE FILE PATH: into the tree of what will be installed.
put() {
  mkdir -p "$(dirname "$work/tree$3")"
  install -m "$1" "$2" "$work/tree$3"
}

# pc_path PATH: as villas_shm.pc has it.
pc_path() {
  if below "$1" >/dev/null; then
    printf '${prefix}/%s\n' "$(below "$1")"
  else
    printf '%s\n' "$1"
  fi | sed 's/ /\\ /g'
}

# fill TEMPLATE PATH
fill() {
  pc_libdir=$(pc_path "$LIBDIR") pc_includedir=$(pc_path "$INCLUDEDIR")
  pc_prefix=$(printf '%s\n' "$PREFIX" | sed 's/ /\\ /g')
  [ -z "$up" ] || pc_prefix="\${pcfiledir}/../$up" # pkg-config escapes its spaces
  cmake_includedir=$(from_libdir "$INCLUDEDIR")
  [ "${cmake_includedir#/}" != "$cmake_includedir" ] || cmake_includedir="\${villas_shm_libdir}/$cmake_includedir"
  sed "$(for name in version pc_prefix pc_libdir pc_includedir cmake_includedir libs_private; do
    eval "value=\$$name"
    printf 's|@%s@|%s|g\n' "$name" "$(printf '%s' "$value" | sed 's/[\\&|]/\\&/g')"
  done)" "$1" >"$work/filled"
  put 644 "$work/filled" "$2"
}

make_tree() {
  version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
  client=package/villas-shmem goal=
  [ "$PACKAGE" != 1 ] || client=package/plain/villas-shmem goal=' for-package'
  for file in libvillas_shm.so villas-shm package/libvillas_shm.a package/man/man1/villas-shm.1 $client; do
    [ -f "$built/$file" ] || die "$built/$file is not built. Run \"make$goal\" first, without sudo, and give CARGO_TARGET_DIR here too if it is set there"
  done
  put 755 "$built/libvillas_shm.so" "$LIBDIR/libvillas_shm.so.$version"
  ln -s "libvillas_shm.so.$version" "$work/tree$LIBDIR/libvillas_shm.so.0"
  ln -s libvillas_shm.so.0 "$work/tree$LIBDIR/libvillas_shm.so"
  put 644 "$built/package/libvillas_shm.a" "$LIBDIR/libvillas_shm.a"
  put 755 "$built/villas-shm" "$BINDIR/villas-shm"
  put 755 "$built/$client" "$BINDIR/villas-shmem"
  if [ "$BRIDGE" = 1 ]; then
    bridge=${built%/release}/bridge/release/villas-shm-bridge
    [ -f "$bridge" ] || die "$bridge is not built. Run \"make bridge\" first, without sudo"
    put 755 "$bridge" "$BINDIR/villas-shm-bridge"
  fi
  for header in include/villas/*; do
    put 644 "$header" "$INCLUDEDIR/villas/${header##*/}"
  done
  for pages in "$built"/package/man/man[137]; do
    mkdir -p "$work/tree$PREFIX/share/man/${pages##*/}"
    install -m 644 "$pages"/* "$work/tree$PREFIX/share/man/${pages##*/}"
  done
  put 644 "$built/package/completions/villas-shm.bash" "$PREFIX/share/bash-completion/completions/villas-shm"
  put 644 "$built/package/completions/_villas-shm" "$PREFIX/share/zsh/site-functions/_villas-shm"
  put 644 "$built/package/completions/villas-shm.fish" "$PREFIX/share/fish/vendor_completions.d/villas-shm.fish"
  put 644 LICENSE "$PREFIX/share/doc/villas-shm/LICENSE"
  put 644 clients/picture/font/LICENSE "$PREFIX/share/doc/villas-shm/LICENSE.DejaVu" # the tool contains the font
  fill "$cmake/villas_shm.pc.in" "$LIBDIR/pkgconfig/villas_shm.pc"
  fill "$cmake/villas_shmConfig.cmake.in" "$LIBDIR/cmake/villas_shm/villas_shmConfig.cmake"
  fill "$cmake/villas_shmConfigVersion.cmake.in" "$LIBDIR/cmake/villas_shm/villas_shmConfigVersion.cmake"
  (cd "$work/tree" && find . ! -type d | sed 's/^\.//' | sort) >"$work/paths"
}

# Nothing that somebody else has put there may go, and nothing may fail later that can be known now.
check_targets() {
  : >"$work/foreign"
  while read -r path; do
    require_writable "$DESTDIR${path%/*}"
    there=$DESTDIR$path
    [ ! -d "$there" ] || [ -L "$there" ] || die "$there is a directory"
    exists "$there" || continue
    print=$(fingerprint "$there")
    [ "$print" = "$(fingerprint "$work/tree$path")" ] || [ "$print" = "$(recorded "$path")" ] || echo "$there" >>"$work/foreign"
  done <"$work/paths"
  require_writable "$(dirname "$manifest")"
  [ -s "$work/foreign" ] || return 0
  if [ "$FORCE" = 1 ]; then
    sed 's/^/replacing /; s/$/, which was not installed from here/' "$work/foreign"
    return 0
  fi
  echo "make install: nothing was installed, as these files are there and were not installed from here:" >&2
  sed 's/^/  /' "$work/foreign" >&2
  echo "VILLASnode, for one, has a villas-shmem of its own. Install to another PREFIX or BINDIR, or replace them: make install FORCE=1" >&2
  exit 1
}

# make_directory PATH: notes each directory that was not there.
make_directory() {
  [ ! -d "$DESTDIR$1/" ] || return 0
  make_directory "$(dirname "$1")"
  mkdir "$DESTDIR$1"
  printf 'directory\t%s\n' "$(from_libdir "$1")" >>"$work/directories"
}

# What has been copied goes away again.
undo() {
  echo "make install: did not get to its end; copies that are not in place yet are removed. Run it again" >&2
  while read -r path; do
    rm -f "$DESTDIR${path%/*}/$pending${path##*/}"
  done <"$work/paths"
  rm -f "$manifest.pending"
  remove_directories <"$work/directories"
  rm -rf "$work"
}

copy_tree() {
  mkdir -p "$DESTDIR/"
  : >"$work/directories"
  trap undo EXIT
  while read -r path; do
    make_directory "${path%/*}"
    cp -Pp "$work/tree$path" "$DESTDIR${path%/*}/$pending${path##*/}"
    printf '%s\t%s\n' "$(fingerprint "$work/tree$path")" "$(from_libdir "$path")" >>"$work/manifest"
  done <"$work/paths"
  [ "$PACKAGE" = 1 ] || make_directory "$LIBDIR/villas_shm"
  {
    cat "$work/manifest" "$work/directories"
    while IFS=$tab read -r print path; do
      [ "$print" != directory ] || printf 'directory\t%s\n' "$(from_libdir "$path")"
    done <"$work/old"
  } >"$work/pending"
  [ "$PACKAGE" = 1 ] || cp "$work/pending" "$manifest.pending"
  while read -r path; do
    mv -fT "$DESTDIR${path%/*}/$pending${path##*/}" "$DESTDIR$path"
  done <"$work/paths"
  # What an older version had and this one has not.
  while IFS=$tab read -r print path; do
    grep -qxF -e "$path" "$work/paths" || [ "$print" = directory ] || remove_ours "$print" "$DESTDIR$path"
  done <"$work/old"
  [ "$PACKAGE" = 1 ] || mv -f "$manifest.pending" "$manifest"
  trap 'rm -rf "$work"' EXIT
}

# remove_ours FINGERPRINT FILE
remove_ours() {
  exists "$2" || return 0
  if [ "$1" = "$(fingerprint "$2")" ]; then
    rm -f "$2"
  else
    echo "kept $2: it is not the file that was installed"
  fi
}

# Those of a manifest on standard input, deepest first, as far as they are empty.
remove_directories() {
  sed -n "s/^directory$tab//p" | while read -r entry; do
    to_path "$entry"
  done | sort -r | while read -r path; do
    rmdir "$DESTDIR$path" 2>/dev/null || true
  done
}

do_install() {
  [ "$PACKAGE" != 1 ] || [ -n "$DESTDIR" ] || die "PACKAGE=1 makes a stage, which \"make uninstall\" cannot remove: give DESTDIR"
  make_tree
  read_manifest
  check_targets
  copy_tree
  sed "s|^|installed $DESTDIR|" "$work/paths"
  [ -n "$DESTDIR" ] || echo "If $LIBDIR is a directory that /etc/ld.so.conf names: sudo ldconfig"
}

do_uninstall() {
  [ -e "$manifest" ] || die "villas-shm is not installed there: no $manifest. Give the PREFIX, LIBDIR and DESTDIR that it was installed with"
  read_manifest
  require_writable "$(dirname "$manifest")"
  while IFS=$tab read -r print path; do
    [ "$print" = directory ] || ! exists "$DESTDIR$path" || require_writable "$DESTDIR$(dirname "$path")"
  done <"$work/old"
  while IFS=$tab read -r print path; do
    [ "$print" = directory ] || remove_ours "$print" "$DESTDIR$path"
  done <"$work/old"
  cp "$manifest" "$work/manifest"
  rm "$manifest"
  remove_directories <"$work/manifest"
}

PREFIX=$(absolute PREFIX "$PREFIX")
LIBDIR=$(absolute LIBDIR "$LIBDIR")
INCLUDEDIR=$(absolute INCLUDEDIR "$INCLUDEDIR")
BINDIR=$(absolute BINDIR "$BINDIR")
[ -z "$DESTDIR" ] || DESTDIR=$(absolute DESTDIR "$DESTDIR")
manifest=$DESTDIR$LIBDIR/villas_shm/manifest
# From LIBDIR up to PREFIX; empty where it is not below.
up=$(below "$LIBDIR" | sed 's|[^/][^/]*|..|g')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
"do_$action"
