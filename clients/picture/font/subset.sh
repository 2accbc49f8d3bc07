#!/bin/sh
# usage: subset.sh DejaVuSans.ttf
# Makes DejaVuSans-subset.ttf beside this script: what names and units are written with. Needs
# pyftsubset of fonttools.
set -eu
pyftsubset "$1" --layout-features=kern --no-hinting \
    --output-file="$(dirname "$0")/DejaVuSans-subset.ttf" \
    --unicodes=U+0020-007E,U+00A0-017F,U+0370-03FF,U+0400-045F,U+2010-2027,U+2030-2044,U+2070-209F,U+20AC,U+2103,U+2109,U+2126,U+2190-2195,U+2200-2265,U+FFFD
