#!/bin/sh
# usage: pages.sh DIRECTORY (of the built programs)
# The man pages and completions, installed into a stage: found by man, clean for mandoc, complete, and the program of shmem(7) runs.
set -eu
built=$1
: "${CC:=cc}"
unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR FORCE BRIDGE MANPATH MANPAGER PAGER || true
export LC_ALL=C.UTF-8 MANWIDTH=80
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

fail() {
  echo "pages: $*" >&2
  exit 1
}

make --no-print-directory install DESTDIR="$out/stage" PREFIX=/usr CARGO_TARGET_DIR="${built%/release}" >"$out/log" 2>&1 || {
  cat "$out/log" >&2
  fail "make install failed"
}
share=$out/stage/usr/share
pages=$share/man
"$built/villas-shm-man" "$out/again"
for part in "$out/again"/*; do
  diff -r "$part" "$built/package/${part##*/}" || fail "the pages are not the same when they are written again"
done

# ---- for mandoc, and for man ------------------------------------------------------------------------
find "$pages" -type f ! -exec grep -q '^\.so ' {} \; -print >"$out/written"
# Else a mandoc that says nothing would pass.
printf '.TH X 3\n.nonsense\n' | mandoc -T lint -W style | grep -q nonsense || fail "mandoc does not see an unknown macro"
# A version has no date before it is released.
xargs mandoc -T lint -W style <"$out/written" >"$out/lint" || true
grep -v 'missing date, using ""' "$out/lint" && fail "mandoc has a word on the pages"
while read -r page; do
  man --warnings -E UTF-8 -l "$page" 2>"$out/log" | col -bx >"$out/text"
  [ ! -s "$out/log" ] || fail "$page: $(cat "$out/log")"
  grep -nE '.{81}|`|@[a-z]+@|\\[fe(]' "$out/text" && fail "$page has lines of more than 80 columns, or marks of its source"
done <"$out/written"
grep -h '^\.so ' -r "$pages" | sort -u | while read -r _ page; do
  [ -f "$pages/$page" ] || fail "a link leads to $page, which does not exist"
done

# shown SECTION NAME: what man prints.
shown() {
  MANPATH=$pages man -E UTF-8 "$@" 2>"$out/log" | col -bx >"$out/text" && [ -s "$out/text" ] || fail "man $*: $(cat "$out/log")"
}

[ -n "$(MANPATH=$pages man -w shmem_ring_push)" ] || fail "man -w does not find shmem_ring_push"
while read -r function; do
  [ -f "$pages/man3/$function.3" ] || fail "$function has no page"
done <tests/symbols.txt
shown shmem_ring_try_push
grep -q '^ *int shmem_ring_try_push(struct shmem_ring \*ring, const void \*element);$' "$out/text" || fail "the page of shmem_ring_try_push has not its prototype"
grep -q -e '-lvillas_shm' "$out/text" || fail "the page of shmem_ring_try_push does not say how to link"

# ---- each command and option of the help is on its page ---------------------------------------------
# documented PAGE: the options of the help on standard input.
documented() {
  shown 1 "$1"
  grep -oE '^ +(-[A-Za-z])?(, )?(--[a-z-]+)?' | tr -d ' ' | tr ',' '\n' | grep -e '^-' | sort -u >"$out/options"
  [ -s "$out/options" ] || fail "the help of $1 has no options"
  while read -r option; do
    grep -qE "^ +(-[A-Za-z], )?$option([ ,=[]|\$)" "$out/text" || fail "$1(1) has not $option"
  done <"$out/options"
}
"$built/villas-shm" --help >"$out/help"
documented villas-shm <"$out/help"
sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z]*\).*/\1/p' "$out/help" | grep -v '^help$' >"$out/commands"
[ "$(wc -l <"$out/commands")" -ge 13 ] || fail "the help has only the commands $(cat "$out/commands")"
while read -r command; do
  # The bridge is another program, whose command line the page is made from.
  if [ "$command" = bridge ]; then
    shown 1 villas-shm-bridge
  else
    "$built/villas-shm" "$command" --help | documented "villas-shm-$command"
  fi
done <"$out/commands"
"$built/villas-shmem" -h | documented villas-shmem

# ---- the program of shmem(7), as a reader copies it -------------------------------------------------
shown 7 shmem
sed -n '/^EXAMPLES/,/^SEE ALSO/p' "$out/text" | sed -n '/^ *#include/,$p' | sed "/^SEE ALSO/d; s/^       //; s/\"manual\"/\"manual-$$\"/" >"$out/program.c"
$CC -std=c11 -Wall -Wextra -Wpedantic -Werror "$out/program.c" -Iinclude -L"$built" -lvillas_shm -Wl,-rpath,"$(cd "$built" && pwd)" -o "$out/program"
[ "$(timeout 60 "$out/program")" = '230.5 V' ] || fail "the program of shmem(7) does not print what the page says"
[ ! -e "/dev/shm/manual-$$" ] || fail "the program of shmem(7) left its region behind"

# ---- completions -------------------------------------------------------------------------------------
tests/completions.py bash "$share/bash-completion/completions"
for shell in zsh fish; do
  tests/install-missing.sh $shell >"$out/log" 2>&1 || {
    echo "pages: skipped the completions of $shell: $(tail -n 1 "$out/log")"
    continue
  }
  case $shell in
    zsh) tests/completions.py zsh "$share/zsh/site-functions" ;;
    fish) tests/completions.py fish "$share/fish/vendor_completions.d" ;;
  esac
done
echo "pages: $(wc -l <"$out/written") pages and $(grep -lr '^\.so ' "$pages" | wc -l) links are found and clean; the program of shmem(7) runs"
