#!/bin/sh
# usage: install-missing.sh COMMAND|HEADER ...
# Makes sure that each command, and each header boost/….hpp, is there: installs its Debian package with apt where that is permitted, else says what to install.
set -eu
missing=
for command in "$@"; do
  command -v "$command" >/dev/null 2>&1 && continue
  [ -e "/usr/include/$command" ] && continue
  case $command in
    cc|gcc) package=gcc ;;
    c++|g++) package=g++ ;;
    boost/*) package=libboost-dev ;;
    dh) package=debhelper ;;
    dpkg-buildpackage) package=dpkg-dev ;;
    ip|tc) package=iproute2 ;;
    ninja) package=ninja-build ;;
    aarch64-linux-gnu-g??) package=${command#aarch64-linux-gnu-}-aarch64-linux-gnu ;;
    qemu-*-static) package=qemu-user-static ;;
    musl-gcc) package=musl-tools ;;
    mosquitto_pub|mosquitto_sub) package=mosquitto-clients ;;
    unshare|nsenter) package=util-linux ;;
    man) package=man-db ;;
    pkg-config) package=pkgconf ;; # it has had the command of that name since Debian 12 and Ubuntu 23.04
    cargo)
      # Not by apt: which distribution has a Rust that is new enough is for its user to say.
      echo "missing: Rust 1.85 or newer. On Debian 13: sudo apt-get install rustc cargo. Elsewhere install it as https://www.rust-lang.org/tools/install says, then open a new terminal" >&2
      exit 1
      ;;
    *) package=$command ;;
  esac
  missing="$missing $package"
done
# A C compiler without the C library's headers cannot build anything.
case " $* " in
  *" cc "*|*" gcc "*) [ -e /usr/include/stdio.h ] || missing="$missing libc6-dev" ;;
esac
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing:$missing"
  apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
  echo "missing:$missing. Install it, on Debian or Ubuntu by: sudo apt-get install$missing" >&2
  exit 1
fi
