#!/bin/sh
# usage: zenohd.sh DIRECTORY
# Builds Zenoh's router and its MQTT plugin into DIRECTORY by the commands of docs/bridge.md, as
# DIRECTORY/bin/zenohd and DIRECTORY/mqtt/release/libzenoh_plugin_mqtt.so.
set -eu
root=$(realpath "$(dirname "$0")/..")
mkdir -p "$1"
cd "$1"
ln -sfn "$root/tests" tests
ln -sfn . target
# One folder for both, as they share crates. The optimiser takes longer than the tests.
export CARGO_INSTALL_ROOT="$PWD" CARGO_TARGET_DIR="$PWD/mqtt" CARGO_PROFILE_RELEASE_OPT_LEVEL=1
# zenohd loads a plugin only of its own compiler; cargo keeps a program that another one has built.
case $("$PWD/bin/zenohd" --version 2>/dev/null || true) in
*"$(rustc --version)"*) ;;
*) rm -f .crates.toml .crates2.json bin/zenohd ;;
esac
commands() { # BLOCK of the page
  sh -ec "$("$root/tests/block.sh" "${1% *}" "$root/${1#* }")"
}
PATH="$PWD/bin:$PATH" # cargo warns otherwise
export PATH
commands "zenohd-install docs/bridge.md"
commands "mqtt-build docs/bridge.md"
