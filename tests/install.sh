#!/bin/sh
# usage: install.sh DIRECTORY (of the built programs)
# "make install" and "make uninstall" into temporary directories whose names have a space, and programs built against what was installed.
set -eu
built=$1
: "${CC:=cc}" "${CXX:=c++}"
unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR FORCE BRIDGE LD_LIBRARY_PATH PKG_CONFIG_PATH || true
out=$(mktemp -d "${TMPDIR:-/tmp}/villas install.XXXXXX")
trap 'rm -rf "$out"' EXIT
chmod 755 "$out"
version=$("$built/villas-shm" -V | awk '{print $NF}')
multiarch=$($CC -print-multiarch 2>/dev/null || true)
warnings='-Wall -Wextra -Wpedantic -Werror'

fail() {
  echo "install: $*" >&2
  exit 1
}

# Nothing but make and the system's programs: no cargo, as with sudo.
install() {
  env PATH=/usr/bin:/bin CARGO_TARGET_DIR="${built%/release}" make --no-print-directory "$@" >"$out/log" 2>&1
}

installed() {
  install "$@" || { cat "$out/log" >&2; fail "make $* failed"; }
}

# refused PATTERN VARIABLE...: fails, says that, and changes nothing below $out.
refused() {
  pattern=$1
  shift
  contents "$out" >"$out/before"
  ! install "$@" || fail "make $* did not fail"
  contents "$out" | diff "$out/before" - >&2 || fail "make $* failed and changed something"
  grep -q -e "$pattern" "$out/log" || { cat "$out/log" >&2; fail "make $* does not say: $pattern"; }
}

# Kind, mode and path of each file, its checksum and the target of a link; but for what this script writes down.
contents() {
  (cd "$1" && find . ! -name log ! -name before -printf '%y %m %p %l\n' && find . -type f ! -name log ! -name before -exec sha256sum {} +) | sort
}

# gone DIRECTORY: nothing is left of it but itself.
gone() {
  [ -z "$(find "$1" -mindepth 1)" ] || fail "left behind: $(find "$1" -mindepth 1)"
}

# expected LIB: the files of an installation, with modes and targets.
expected() {
  cat <<END
755 bin/villas-shm
755 bin/villas-shmem
644 $1/cmake/villas_shm/villas_shmConfig.cmake
644 $1/cmake/villas_shm/villas_shmConfigVersion.cmake
644 $1/libvillas_shm.a
777 $1/libvillas_shm.so libvillas_shm.so.0
777 $1/libvillas_shm.so.0 libvillas_shm.so.$version
755 $1/libvillas_shm.so.$version
644 $1/pkgconfig/villas_shm.pc
644 $1/villas_shm/manifest
644 share/doc/villas-shm/LICENSE
644 share/doc/villas-shm/LICENSE.DejaVu
END
  for header in include/villas/*; do
    echo "644 $header"
  done
  # tests/pages.sh looks into them.
  (cd "$built/package" && find man -type f) | sed 's,^,644 share/,'
  cat <<END
644 share/bash-completion/completions/villas-shm
644 share/fish/vendor_completions.d/villas-shm.fish
644 share/zsh/site-functions/_villas-shm
END
}

# found PREFIX: its files, with modes and targets.
found() {
  (cd "$1" && find . ! -type d -printf '%m %P %l\n' | sed 's/ $//' | sort)
}

# complete PREFIX LIB
complete() {
  found "$1" >"$out/found"
  expected "$2" | sort | diff - "$out/found" >&2 || fail "$1 has not what it should have"
}

# programs PREFIX: both run, and find each other and the library.
programs() {
  [ "$("$1/bin/villas-shm" -V)" = "$("$built/villas-shm" -V)" ] || fail "the installed villas-shm is another"
  name=villas-install-$$
  echo "nodes = { n = { type = \"shmem\", name = \"$name\", samplelen = 8, exec = [ \"villas-shmem\", \"-w\", \"5\", \"$name\" ] } }" >"$out/n.conf"
  env -i PATH=/usr/bin:/bin "$1/bin/villas-shm" pipe "$out/n.conf" n <examples/grid-week.dat >"$out/back.dat" 2>"$out/log" ||
    { cat "$out/log" >&2; fail "pipe with the installed programs failed"; }
  "$1/bin/villas-shm" compare -e 0 examples/grid-week.dat "$out/back.dat"
  ldd "$1/bin/villas-shmem" | grep -qF "=> $1/" || fail "villas-shmem has another library: $(ldd "$1/bin/villas-shmem")"
}

# built_by COMPILER SOURCE OPTION...: compiles, with the quoting that pkg-config does, and runs.
built_by() {
  compiler=$1 source=$2
  shift 2
  rm -f "$out/exchange"
  eval "$compiler $warnings $source $* -o \"\$out/exchange\"" >"$out/log" 2>&1 || { cat "$out/log" >&2; fail "$compiler $source $* failed"; }
  "$out/exchange" >"$out/log" 2>&1 || { cat "$out/log" >&2; fail "the program of $source $* failed"; }
}

# only_libc PROGRAM
only_libc() {
  ! ldd "$1" | grep -vE '(linux-vdso|libc|libgcc_s|libstdc\+\+|libm|ld-linux-[a-z0-9-]*)\.so' || fail "$1 needs more than the system's libraries"
}

# pkg_config PREFIX LIB
pkg_config() {
  PKG_CONFIG_PATH=$1/$2/pkgconfig
  export PKG_CONFIG_PATH
  [ "$(pkg-config --modversion villas_shm)" = "$version" ] || fail "pkg-config has another version than $version"
  shared=$(pkg-config --cflags --libs villas_shm)
  static=$(pkg-config --static --cflags --libs villas_shm)
  alone=$(echo "$static" | sed s/-lvillas_shm/-l:libvillas_shm.a/)
  rpath="-Wl,-rpath,'$1/$2'"
  for language in "$CC:-std=c11:c" "$CXX:-std=c++17 -pthread:cpp"; do
    source=cmake/consumer/exchange.${language##*:}
    compiler=$(echo "${language%:*}" | tr : ' ')
    built_by "$compiler" "$source" "$shared" "$rpath"
    ldd "$out/exchange" | grep -qF "libvillas_shm.so.0 => $1/$2/" || fail "$source does not have the shared library: $(ldd "$out/exchange")"
    built_by "$compiler" "$source" "$alone"
    only_libc "$out/exchange"
    echo 'int main(void) { return 0; }' >"$out/main.${source##*.}"
    if $compiler -static "$out/main.${source##*.}" -o "$out/exchange" 2>/dev/null; then
      built_by "$compiler -static" "$source" "$static"
      ! ldd "$out/exchange" >/dev/null 2>&1 || fail "$source is not static"
    else
      echo "install: skipped a static C library: $compiler has none"
    fi
  done
  unset PKG_CONFIG_PATH
}

# A constructor of a program that is linked statically runs before the library is loaded as a shared one would be.
constructor() {
  cat >"$out/constructor.c" <<'EOT'
#include <villas/shmem.h>
static struct shmem_shared *early;
__attribute__((constructor)) static void open_early(void) { early = shmem_shared_create("villas-install-early", 0); }
int main(void)
{
  if (!early || shmem_shared_close(early, 0) != 0)
    return 1;
  return shmem_shared_unlink("villas-install-early");
}
EOT
  PKG_CONFIG_PATH=$1/lib/pkgconfig
  export PKG_CONFIG_PATH
  built_by "$CC -std=gnu11" "'$out/constructor.c'" "$(pkg-config --static --cflags --libs villas_shm | sed s/-lvillas_shm/-l:libvillas_shm.a/)"
  unset PKG_CONFIG_PATH
}

# Every function can be linked from the static library with no more than Libs.private.
whole_archive() {
  {
    sed 's/.*/extern void &(void);/' tests/symbols.txt
    echo 'int main(int argc, char **argv) { (void)argv; void (*all[])(void) = {'
    sed 's/$/,/' tests/symbols.txt
    echo '}; return argc < 1 || all[0] == 0; }'
  } >"$out/all.c"
  PKG_CONFIG_PATH=$1/lib/pkgconfig
  export PKG_CONFIG_PATH
  built_by "$CC -Wno-builtin-declaration-mismatch" "'$out/all.c'" "$(pkg-config --static --libs villas_shm | sed 's/-lvillas_shm/-Wl,--whole-archive -l:libvillas_shm.a -Wl,--no-whole-archive/')"
  only_libc "$out/exchange"
  unset PKG_CONFIG_PATH
}

# by_cmake PREFIX [OPTION...]
by_cmake() {
  prefix=$1
  shift
  rm -rf "$out/cmake"
  cmake -S cmake/consumer -B "$out/cmake" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$CC" -DCMAKE_CXX_COMPILER="$CXX" "$@" >"$out/log" 2>&1
}

# cmake_consumer PREFIX [OPTION...]
cmake_consumer() {
  { by_cmake "$@" && cmake --build "$out/cmake" && ctest --test-dir "$out/cmake" --no-tests=error --output-on-failure; } >>"$out/log" 2>&1 ||
    { cat "$out/log" >&2; fail "the project of cmake/consumer failed"; }
  grep -q '100% tests passed, 0 tests failed out of 4' "$out/log" || fail "cmake/consumer has not four tests"
  for language in c cpp; do
    ldd "$out/cmake/exchange_${language}_villas_shm" | grep -qF "libvillas_shm.so.0 => $1/" || fail "CMake did not link the shared library"
    only_libc "$out/cmake/exchange_${language}_static"
  done
}

cmake_versions() {
  for wanted in 0.1 0.1.0 0.0.1 "0.1...2.0" "0.1...<1"; do
    by_cmake "$1" -DWANTED="$wanted" || { cat "$out/log" >&2; fail "CMake did not take version $wanted"; }
  done
  for wanted in 2.0 1 0.9 "1.0...2.0" "0.0.1...<0.1.0"; do
    ! by_cmake "$1" -DWANTED="$wanted" || fail "CMake took $version as version $wanted"
    grep -q 'compatible with' "$out/log" || { cat "$out/log" >&2; fail "CMake refused version $wanted for another reason"; }
  done
}

# A copy of what "make install" needs, made to be version 0.0.9, which had a header and a library more.
make_older() {
  mkdir -p "$out/older/target" "$out/older/include" "$out/older/clients/picture/font"
  cp -R Makefile LICENSE cmake "$out/older"
  cp clients/picture/font/LICENSE "$out/older/clients/picture/font"
  cp -R include/villas "$out/older/include"
  sed 's/^version = .*/version = "0.0.9"/' Cargo.toml >"$out/older/Cargo.toml"
  echo '/* gone since */' >"$out/older/include/villas/old.h"
  mkdir -p "$out/older/target/release/package"
  cp -R "$built/package/man" "$built/package/completions" "$out/older/target/release/package"
  echo '.so man3/gone.3' >"$out/older/target/release/package/man/man3/shmem_gone.3"
  for file in libvillas_shm.so villas-shm package/libvillas_shm.a package/villas-shmem; do
    { cat "$built/$file" && echo older; } >"$out/older/target/release/$file"
  done
}

step() {
  echo "install: $*"
}

step "a fresh installation"
a="$out/a place/usr"
mkdir "$out/a place"
installed install PREFIX="$a"
complete "$a" lib
tests/symbols.sh "$a/lib"
! grep -rF -e "$PWD" -e "${out%/*}/villas" "$a/lib/cmake" "$a/lib/pkgconfig" "$a/bin/villas-shmem" || fail "what was installed names the place where it was built or put"
programs "$a"
step "C and C++, shared and static, by pkg-config"
pkg_config "$a" lib
whole_archive "$a"
constructor "$a"
step "the same by CMake"
cmake_consumer "$a"
cmake_versions "$a"
ln -s "$a/lib" "$out/link"
by_cmake "$a" -Dvillas_shm_DIR="$out/link/cmake/villas_shm" || { cat "$out/log" >&2; fail "CMake did not find the headers through a link"; }
rm "$out/link"
step "moved to another place"
moved="$out/moved/here"
mkdir "$out/moved"
mv "$a" "$moved"
programs "$moved"
pkg_config "$moved" lib
cmake_consumer "$moved"
installed uninstall PREFIX="$moved"
gone "$out/moved"

step "again, and over an older version"
make_older
installed -C "$out/older" install PREFIX="$a" CARGO_TARGET_DIR=target
[ -e "$a/lib/libvillas_shm.so.0.0.9" ] || fail "the older version is not there"
installed install PREFIX="$a"
complete "$a" lib
contents "$a" >"$out/once"
installed install PREFIX="$a"
contents "$a" | diff "$out/once" - >&2 || fail "installed twice is not the same as once"

step "files of others"
echo foreign >"$a/bin/villas-shmem"
echo foreign >"$out/VILLASnode.h"
ln -sf "$out/VILLASnode.h" "$a/include/villas/shmem.h"
refused "$a/bin/villas-shmem\$" install PREFIX="$a"
grep -q "$a/include/villas/shmem.h\$" "$out/log" || fail "not all files of others are named"
grep -q "FORCE=1" "$out/log" || fail "FORCE=1 is not named"
installed uninstall PREFIX="$a"
grep -q "kept $a/bin/villas-shmem: " "$out/log" || fail "uninstall does not say what it kept"
[ "$(cd "$a" && find . ! -type d | sort | tr '\n' ' ')" = "./bin/villas-shmem ./include/villas/shmem.h " ] || fail "uninstall removed a file of others"
refused "nothing was installed" install PREFIX="$a"
installed install PREFIX="$a" FORCE=1
grep -q "replacing $a/bin/villas-shmem," "$out/log" || fail "FORCE=1 does not say what it replaced"
complete "$a" lib
[ "$(cat "$out/VILLASnode.h")" = foreign ] || fail "FORCE=1 wrote through a link"
installed uninstall PREFIX="$a"
rmdir "$out/a place/usr/bin" "$out/a place/usr/include/villas" "$out/a place/usr/include" "$out/a place/usr" 2>/dev/null || true
gone "$out/a place"
refused "not installed there" uninstall PREFIX="$a"
mkdir -p "$a/lib/libvillas_shm.so.0"
refused "is a directory" install PREFIX="$a" FORCE=1
rm -r "$a"

step "other directories"
for lib in lib64 ${multiarch:+lib/"$multiarch"}; do
  installed install PREFIX="$a" LIBDIR="$a/$lib"
  complete "$a" "$lib"
  programs "$a"
  pkg_config "$a" "$lib"
  # On Debian CMake does not look into lib64.
  cmake_consumer "$a" -Dvillas_shm_DIR="$a/$lib/cmake/villas_shm"
  installed uninstall PREFIX=/nowhere LIBDIR="$a/$lib"
  gone "$out/a place"
done
installed install PREFIX="$out/p" LIBDIR="$out/li b/x" INCLUDEDIR="$out/in c" BINDIR="$out/b"
pkg_config "$out" "li b/x"
cmake_consumer "$out" -Dvillas_shm_DIR="$out/li b/x/cmake/villas_shm"
installed uninstall PREFIX="$out/p" LIBDIR="$out/li b/x"
[ ! -e "$out/p" ] && [ ! -e "$out/li b" ] && [ ! -e "$out/in c" ] && [ ! -e "$out/b" ] || fail "left behind: $(ls "$out")"

step "staged for a package"
installed install DESTDIR="$out/stage" PREFIX=/usr
complete "$out/stage/usr" lib
! grep -rF "$out" "$out/stage" || fail "the package names the place where it was staged"
programs "$out/stage/usr"
installed uninstall DESTDIR="$out/stage" PREFIX=/usr
gone "$out/stage"

step "staged for a distribution's package: without a manifest and a search path"
refused "give DESTDIR" install PACKAGE=1 PREFIX="$a"
refused 'Run "make for-package" first' -C "$out/older" install PACKAGE=1 DESTDIR="$out/stage" PREFIX=/usr CARGO_TARGET_DIR=target
installed install PACKAGE=1 DESTDIR="$out/stage" PREFIX=/usr
expected lib | grep -v /manifest | sort >"$out/wanted"
found "$out/stage/usr" | diff "$out/wanted" - >&2 || fail "the stage for a package has not what it should have"
! readelf -d "$out/stage/usr/bin/villas-shmem" | grep -E 'R(UN)?PATH' || fail "the packaged villas-shmem has a search path"
[ "$(LD_LIBRARY_PATH=$out/stage/usr/lib "$out/stage/usr/bin/villas-shmem" 2>&1 | head -n 1)" = "$("$built/villas-shmem" 2>&1 | head -n 1)" ] ||
  fail "the packaged villas-shmem is another"
rm -r "$out/stage" "$out/wanted"

step "as a user types it"
mkdir "$out/home"
HOME=$out/home sh -c 'make install PREFIX="$HOME/.local" && make uninstall PREFIX="$HOME/.local"' >"$out/log" 2>&1 || { cat "$out/log" >&2; fail "in a home directory"; }
gone "$out/home"

step "errors"
refused "PREFIX=usr is not an absolute path" install PREFIX=usr
refused "PREFIX=/a/../b has" install PREFIX=/a/../b
refused "is not a directory" install PREFIX="$out/log"
refused 'Run "make" first' -C "$out/older" install PREFIX="$a" CARGO_TARGET_DIR=nothing
if [ "$(id -u)" = 0 ]; then
  # Root may write anywhere, and has what small file systems need.
  mkdir -p "$out/locked"
  ! (cd "$out/older" && setpriv --reuid=65534 --regid=65534 --clear-groups make install PREFIX="$out/locked") >"$out/log" 2>&1 || fail "installed without permission"
  grep -q "no permission to write in $out/locked. Try sudo" "$out/log" || { cat "$out/log" >&2; fail "the missing permission is not told"; }
  if unshare -m true 2>/dev/null; then
    # shellcheck disable=SC2016 # expanded within
    unshare -m sh -c 'mount -t tmpfs -o size=4m none "$1" && { ! make install PREFIX="$1/full" >"$2" 2>&1; } && [ -z "$(ls "$1")" ]' - "$out/locked" "$out/log" && grep -q "did not get to its end" "$out/log" ||
      { cat "$out/log" >&2; fail "an installation to a full disk left something behind, or succeeded"; }
  else
    echo "install: skipped a full disk: no permission for a namespace"
  fi
else
  mkdir -m 555 "$out/locked"
  refused "no permission to write in $out/locked" install PREFIX="$out/locked"
fi
echo "install: all passed"
