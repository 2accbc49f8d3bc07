#!/bin/sh
# usage: test.sh SERVER CLIENT
# One server, three clients: each prints what the server has written, and the segment is gone at the end.
set -eu
server=$1 client=$2 name=villas-typed-$$
out=$(mktemp -d)
trap 'rm -rf "$out" "/dev/shm/$name"' EXIT
mkfifo "$out/ready"
"$server" "$name" 3 >"$out/ready" &
running=$!
read -r line <"$out/ready"
[ "$line" = "typed-server: created $name" ]
"$client" "$name" >"$out/1" &
first=$!
"$client" "$name" >"$out/2" &
second=$!
"$client" "$name" >"$out/3"
wait "$first"
wait "$second"
wait "$running"
printf 'PI is defined as: 22/7==3.14286\ngoodbye\n' >"$out/expected"
for i in 1 2 3; do
  diff "$out/expected" "$out/$i"
done
[ ! -e "/dev/shm/$name" ]
# Without a server a client says so.
! "$client" "$name" 2>"$out/error"
grep -q "there is no POSIX segment \"$name\"" "$out/error"
echo "typed: three clients read what the server wrote"
