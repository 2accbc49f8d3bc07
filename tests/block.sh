#!/bin/sh
# usage: block.sh NAME FILE...
# Prints the code block that follows the line "<!-- test: NAME -->" in one of the documents.
set -eu
name=$1
shift
awk -v mark="<!-- test: $name -->" '
  $0 == mark {found = 1; next}
  found && /^```/ {if (inside) exit; inside = 1; next}
  inside' "$@" | grep . || {
  echo "block: no block \"$name\" in $*" >&2
  exit 1
}
