#!/bin/sh
# usage: weaknesses.sh PEER
# What goes wrong between two VILLASnodes goes wrong between two processes of the model, too: so a test of this library against the model
# means something. Observed with VILLASnode 1.2.0, but for four that only follow from the layout and the handshake as measured: queues of 480 and
# of 481 samples, the other that closes during open, the writer that dies with the mutex.
set -eu
peer=$1
here=$(dirname "$0")
. "$here/lib.sh"

for q in 600 480; do
  begin "a queue of $q samples cannot be created, and what was made is left behind"
  start node "$a" "$b" -q $q open-only
  ends node 1
  grep -q 'too small' "$out/node.err" || fail 'it says something else'
  [ -e "/dev/shm/$a" ] && [ -e "/dev/shm/sem.$a" ] || fail 'the region or its semaphore is gone'
  passed
done

begin 'a queue of 481 samples just fits'
start node "$a" "$a" -q 481 open-only
ends node 0
passed

begin 'the reader is killed while it holds the mutex: the writer blocks for ever'
start writer "$a" "$b" --begin send 1
start reader "$b" "$a" hold-mutex
said writer ready
said reader ready
send_signal reader KILL
ends reader 137
send_signal writer USR2
until_true in_futex writer
not_said writer 'sent 1'
passed

begin 'the reader is killed while it waits: the writer fills the queue, then has no room for ever'
start writer "$a" "$b" --begin --try send 600
start reader "$b" "$a" wait
said writer ready
said reader waiting
send_signal reader KILL
ends reader 137
send_signal writer USR2
ends writer 0
said writer 'sent 512'
passed

begin 'what is queued when the writer closes is lost'
start writer "$a" "$b" --begin send 5
start reader "$b" "$a" --begin receive all
said writer ready
said reader ready
send_signal writer USR2
ends writer 0
send_signal reader USR2
ends reader 0
said reader 'the other has closed'
said reader 'received 0'
passed

begin 'killed while it waits in open: the next to start is let through into the dead region'
start dead "$a" "$b" open-only
until_true in_futex dead
send_signal dead KILL
ends dead 137
start next "$b" "$a" --close signal open-only
said next ready
[ ! -e "/dev/shm/sem.$b" ] || fail 'the semaphore of the next is still there'
start third "$a" "$b" open-only
said third "waits for $b"
until_true in_futex third
not_said third "opened $b .*"
passed

begin 'one side restarts: it blocks in open, and the survivor keeps the old region'
start survivor "$a" "$b" --close signal --begin --try send 600
start killed "$b" "$a" --close signal open-only
said survivor ready
said killed ready
send_signal killed KILL
ends killed 137
start again "$b" "$a" open-only
said again "waits for $a"
until_true in_futex again
send_signal survivor USR2
said survivor 'sent 512'
in_futex again || fail 'it does not wait any more'
not_said again "opened $a .*"
passed

begin 'a signal handler runs during open: it fails and leaves the region and the semaphore behind'
start node "$a" "$b" open-only
said node "waits for $b"
interrupted() { send_signal node USR1 2>/dev/null; has_ended node; }
until_true interrupted
ends node 1
[ -e "/dev/shm/$a" ] && [ -e "/dev/shm/sem.$a" ] || fail 'the region or its semaphore is gone'
passed

begin 'the other closes while this one is between its post and its look: open fails'
start slow "$a" "$b" open-only
said slow "waits for $b"
send_signal slow STOP
until_true is_stopped slow
start quick "$b" "$a" open-only
ends quick 0
send_signal slow CONT
ends slow 1
grep -q "shm_open of $b" "$out/slow.err" || fail 'it says something else'
passed

begin 'the other closes: 512 writes succeed into nowhere'
start survivor "$a" "$b" --begin --try send 600
start other "$b" "$a" --close signal open-only
said survivor ready
said other ready
send_signal other TERM
ends other 0
send_signal survivor USR2
ends survivor 0
said survivor 'sent 512'
passed

begin 'SIGTERM does not end an idle client; it ends after the next sample'
start client "$b" "$a" echo
start node "$a" "$b" --begin --close signal send 1
said node ready
until_true in_futex client
send_signal client TERM
until_true no_signal_pends client
until_true in_futex client
send_signal node USR2
ends client 0
said client 'echoed 1'
said client 'stopped'
passed

begin 'both names equal, two processes: both open, not connected'
start first "$a" "$a" --close signal open-only
said first ready
start second "$a" "$a" --begin --close signal send-receive 20
said second ready
send_signal second USR2
said second 'sent and received 20'
running first || fail 'the first has ended'
passed

begin 'a writer that is killed while it holds the mutex: the reader blocks for ever'
start writer "$a" "$b" hold-mutex write
start reader "$b" "$a" --begin receive 1
said writer ready
said reader ready
send_signal writer KILL
ends writer 137
send_signal reader USR2
until_true in_futex reader
passed
