#!/bin/sh
# usage: bridge-lab.sh DIRECTORY (of the built programs) BRIDGE [PYTEST-ARGUMENT...]
# The bridge between hosts that are network namespaces: tests/bridge. What cannot be tested here is
# skipped, with the reason. ZENOHD is the directory that tests/zenohd.sh has filled; without it there
# are neither zenohd nor MQTT.
set -eu
cd "$(dirname "$0")/.."
LIB=$(realpath "$1") BRIDGE=$(realpath "$2")
export LIB BRIDGE
shift 2
tests/install-missing.sh ip openssl unshare nsenter
if [ -n "${ZENOHD:-}" ]; then
  ZENOHD=$(realpath "$ZENOHD")
  export ZENOHD
  tests/install-missing.sh mosquitto_pub mosquitto_sub
fi
tests/python.sh venv
venv=$(realpath "${TARGET:-target}")/python/venv/bin
"$venv/python" -c 'import zenoh, google.protobuf' 2>/dev/null || "$venv/python" -m pip install -q 'eclipse-zenoh>=1.10.2,<2' protobuf
# In a namespace of its own, so that nothing of it is seen or left on the machine.
enter='unshare -n -m'
[ "$(id -u)" = 0 ] || enter='unshare -r -n -m'
$enter true || {
  echo "bridge-lab: SKIPPED, all of it: this kernel or container allows no namespaces of the network and of mounts" >&2
  exit 0
}
exec $enter "$venv/python" -m pytest -q -rs -p no:cacheprovider tests/bridge "$@"
