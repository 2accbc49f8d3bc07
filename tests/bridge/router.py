"""usage: router.py ENDPOINT...

A router of Zenoh's own, which the Python package contains: `zenohd` without its plugins.
"""

import json
import sys
import threading

import zenoh

config = {"mode": "router", "listen": {"endpoints": sys.argv[1:]}, "scouting": {"multicast": {"enabled": False}}}
with zenoh.open(zenoh.Config.from_json5(json.dumps(config))):
    print("ready", file=sys.stderr, flush=True)
    threading.Event().wait()
