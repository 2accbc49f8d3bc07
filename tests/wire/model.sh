#!/bin/sh
# usage: model.sh PEER
# Two processes of the model talk to each other: both modes, either order of start, and the errors that the program must find.
set -eu
peer=$1
here=$(dirname "$0")
. "$here/lib.sh"

# in_order FIRST SECOND: calls FIRST, and SECOND once the process that it started waits for its peer.
in_order() {
  "$1"
  said "$1" 'waits for .*'
  "$2"
}

for mode in pthread polling mixed; do
  write_mode= read_mode=
  [ $mode = pthread ] || write_mode=--polling
  [ $mode != polling ] || read_mode=--polling

  sender() { start sender "$a" "$b" -q 64 -s 7 $write_mode --close taken send 5000; }
  receiver() { start receiver "$b" "$a" -q 64 -s 7 $read_mode receive 5000; }
  for order in 'sender receiver' 'receiver sender'; do
    begin "5000 samples arrive whole and in order: $mode mode, ${order% *} first"
    # shellcheck disable=SC2086
    in_order $order
    ends receiver 0
    ends sender 0
    said receiver 'received 5000'
    passed
  done

  asker() { start asker "$a" "$b" -q 64 -s 7 $write_mode --expect 0 send-receive 2000; }
  mirror() { start mirror "$b" "$a" -q 64 -s 7 $read_mode echo; }
  for order in 'asker mirror' 'mirror asker'; do
    begin "2000 samples come back as they were, with flags 0: $mode mode, ${order% *} first"
    # shellcheck disable=SC2086
    in_order $order
    ends asker 0
    ends mirror 0
    said asker 'sent and received 2000'
    said mirror 'echoed 2000'
    said mirror 'the other has closed'
    passed
  done
done

begin 'with both names equal a process reads what it wrote'
start loop "$a" "$a" -q 8 -s 4 send-receive 100
ends loop 0
said loop 'sent and received 100'
passed

begin 'a connection that ended leaves nothing in /dev/shm'
start first "$a" "$b" --close signal open-only
start second "$b" "$a" --close signal open-only
# Who closed before the other had opened its region would make it fail.
said first ready
said second ready
send_signal first TERM
send_signal second TERM
ends first 0
ends second 0
for file in "/dev/shm/$a" "/dev/shm/$b" "/dev/shm/sem.$a" "/dev/shm/sem.$b"; do
  [ ! -e "$file" ] || fail "$file is left"
done
passed

begin 'a sample that is missing is found'
start sender "$a" "$b" --from 1 --close signal send 3
start receiver "$b" "$a" receive 3
ends receiver 1
grep -q 'sample 0: sequence is 1001, not 1000' "$out/receiver.err" || fail 'it says something else'
passed

begin 'another length than agreed is found'
start sender "$a" "$b" -s 1 --close signal send 3
start receiver "$b" "$a" -s 2 receive 3
ends receiver 1
grep -q 'sample 1: length is 1, not 2' "$out/receiver.err" || fail 'it says something else'
passed

begin 'other flags than agreed are found'
start sender "$a" "$b" --flags 0 --close signal send 1
start receiver "$b" "$a" receive 1
ends receiver 1
grep -q 'sample 0: flags is 0, not 25' "$out/receiver.err" || fail 'it says something else'
passed

begin 'held samples are missing in the pool'
start holder "$b" "$a" -q 8 hold 8
start sender "$a" "$b" -q 8 --try --close signal send 9
said holder 'ready'
said sender 'no room for sample 8'
said sender 'sent 8'
send_signal sender TERM
ends sender 0
send_signal holder TERM
ends holder 0
passed

begin 'a claimed cell that is never published holds up those after it'
start claimer "$a" "$b" claim 2
start receiver "$b" "$a" receive 3
said claimer 'claimed cell 2'
said receiver 'received the first'
until_true in_futex receiver
not_said receiver 'received 3'
send_signal claimer TERM
ends receiver 1
grep -q 'only 2 of 3 samples came' "$out/receiver.err" || fail 'it says something else'
passed

begin 'wrong usage is status 2'
for words in '' nonsense send 'send many' 'receive some' 'hold-mutex 3' '-q 0 open-only' '--close later open-only' 'echo 3' 'image new x'; do
  status=0
  # shellcheck disable=SC2086
  timeout 20 "$peer" "$a" "$b" $words >/dev/null 2>&1 || status=$?
  [ $status -eq 2 ] || fail "\"$words\" is status $status"
done
timeout 20 "$peer" --help | grep -q '^usage: villasnode-peer' || fail '--help does not help'
passed
