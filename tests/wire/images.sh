#!/bin/sh
# usage: images.sh PEER
# Lets the model make each region of which there is an image that VILLASnode wrote, and compares byte by byte. What is not compared,
# and why, is said in compare-images.py.
#   VILLASNODE_IMAGES=DIRECTORY   compare with the images there too
set -eu
peer=$1
here=$(dirname "$0")
out=$(mktemp -d)
name=villas-wire-images-$$
trap 'rm -rf "$out" "/dev/shm/$name"' EXIT
trap 'exit 1' INT TERM HUP

compared=0
for directory in "$here/images" ${VILLASNODE_IMAGES:+"$VILLASNODE_IMAGES"}; do
  for image in "$directory"/*.img; do
    # MODE-qQUEUELEN-sSAMPLELEN-STATE.img
    parameters=$(basename "$image" .img)
    mode=${parameters%%-*} parameters=${parameters#*-q}
    queuelen=${parameters%%-*} parameters=${parameters#*-s}
    samplelen=${parameters%%-*} state=${parameters#*-}
    case $mode in
    pthread) polling= ;;
    polling) polling=--polling ;;
    *) echo "images.sh: what is $image?" >&2; exit 1 ;;
    esac
    # shellcheck disable=SC2086 # may be no word
    timeout 20 "$peer" "$name" - --queuelen "$queuelen" --samplelen "$samplelen" $polling image "$state" "$out/model.img" >"$out/log"
    "$here/compare-images.py" "$image" "$out/model.img" || { echo "images.sh: the model differs from $image" >&2; exit 1; }
    compared=$((compared + 1))
  done
done
[ "$compared" -ge 12 ] || { echo "images.sh: only $compared images found" >&2; exit 1; }

timeout 60 "$here/compare-images.py" --self-test "$here/images/pthread-q8-s4-3-queued-1-held.img"

# dump is the fresh image.
timeout 20 "$peer" "$name" - -q 8 -s 4 dump "$out/dump.img" >"$out/log"
"$here/compare-images.py" "$here/images/pthread-q8-s4-fresh.img" "$out/dump.img"
[ ! -e "/dev/shm/$name" ] || { echo "images.sh: /dev/shm/$name was left behind" >&2; exit 1; }
echo "images: the model makes $compared regions as VILLASnode did; of each, 24 bytes of pointers to code and constants were not compared"
