#!/bin/sh
# usage: library.sh PEER OURS [quick]
# This library (OURS, made of ours.c) against the model of VILLASnode's side (PEER), and against itself: both directions, all
# combinations of modes, either order of start; and every row of what goes wrong between two VILLASnodes (weaknesses.sh),
# which must not go wrong where this library is at one end. quick: the exchanges in one combination of modes only.
set -eu
peer=$1
model=$1
ours=$2
combinations='- -p'
[ "${3:-}" != quick ] || combinations=-
here=$(dirname "$0")
. "$here/lib.sh"

# waits_in_open NAME: it has made its region $a, and is in the handshake: the model in a semaphore's futex, this library looking now
# and then.
waits_in_open() {
  if [ "$one" = model ]; then
    in_futex "$1"
  else
    [ -e "/dev/shm/$a" ] && [ -e "/dev/shm/sem.$b" ]
  fi
}

# start_as ours|model NAME ARGUMENT...
start_as() {
  eval "peer=\$$1"
  shift
  start "$@"
  peer=$model
}

# in_order FIRST SECOND: calls FIRST, and SECOND once the process that it started waits for its peer.
in_order() {
  "$1"
  said "$1" 'waits for .*'
  "$2"
}

nothing_left() {
  for file in "/dev/shm/$a" "/dev/shm/$b" "/dev/shm/sem.$a" "/dev/shm/sem.$b"; do
    [ ! -e "$file" ] || fail "$file is left"
  done
}

# ---- exchanges -----------------------------------------------------------------------------------

for ends in "ours model" "model ours" "ours ours"; do
  one=${ends% *} other=${ends#* }
  # What is written back: the model's echo sets no flags, as VILLASnode's client; this library's sends what it got.
  echoed=0
  [ "$other" = model ] || echoed=25
  taken=now
  [ "$one" = ours ] || taken=taken
  for mode_one in $combinations; do
    for mode_other in $combinations; do
      p=${mode_one#-} q=${mode_other#-}
      what="$one ${p:+(polling) }and $other${q:+ (polling)}"
      sender() { start_as "$one" sender "$a" "$b" -q 64 -s 7 ${p:+-p} -c $taken send 3000; }
      receiver() { start_as "$other" receiver "$b" "$a" -q 32 -s 7 ${q:+-p} receive 3000; }
      asker() { start_as "$one" asker "$a" "$b" -q 64 -s 7 ${p:+-p} -e $echoed send-receive 1000; }
      mirror() { start_as "$other" mirror "$b" "$a" -q 32 -s 7 ${q:+-p} echo; }
      for order in 'sender receiver' 'receiver sender'; do
        begin "3000 samples arrive whole and in order: $what, ${order% *} first"
        # shellcheck disable=SC2086
        in_order $order
        ends receiver 0
        ends sender 0
        said receiver 'received 3000'
        nothing_left
        passed
      done
      for order in 'asker mirror' 'mirror asker'; do
        begin "1000 samples come back as they were: $what, ${order% *} first"
        # shellcheck disable=SC2086
        in_order $order
        ends asker 0
        ends mirror 0
        said asker 'sent and received 1000'
        said mirror 'echoed 1000'
        nothing_left
        passed
      done
    done
  done
done

begin 'with both names equal a process reads what it wrote'
start_as ours loop "$a" "$a" -q 8 -s 4 send-receive 100
ends loop 0
said loop 'sent and received 100'
nothing_left
passed

# ---- closing -------------------------------------------------------------------------------------

for one in model ours; do
  begin "what is queued when the writer ($one) closes is read, then the end is told"
  start_as ours reader "$b" "$a" -b receive all
  start_as $one writer "$a" "$b" -b -c signal send 5
  said reader ready
  said writer ready
  send_signal writer USR2
  said writer 'sent 5'
  send_signal writer TERM
  [ $one = ours ] || ends writer 0
  send_signal reader USR2
  ends reader 0
  [ $one = model ] || ends writer 0
  said reader 'received 5'
  said reader 'the other has ended'
  nothing_left
  passed

  begin "the other ($one) closes: the survivor is told while it writes"
  start_as ours survivor "$a" "$b" -b fill
  start_as $one other "$b" "$a" -c signal open-only
  said survivor ready
  said other ready
  send_signal other TERM
  ends other 0
  send_signal survivor USR2
  ends survivor 0
  said survivor 'the other has ended'
  nothing_left
  passed
done

begin 'a VILLASnode that reads nothing does not hold up a close for ever'
start_as ours writer "$a" "$b" -b send 5
start_as model reader "$b" "$a" -c signal open-only
said reader ready
said writer ready
send_signal writer USR2
ends writer 0
said writer 'closed'
send_signal reader TERM
ends reader 0
nothing_left
passed

begin 'the model reads the end that this library writes'
start_as model waiter "$b" "$a" wait
start_as ours closer "$a" "$b" -c signal open-only
said waiter waiting
said closer ready
send_signal closer TERM
ends closer 0
ends waiter 0
said waiter 'the other has closed'
nothing_left
passed

# ---- death ---------------------------------------------------------------------------------------

# killed_reader NAME ARGUMENT...: the process that reads is killed; the writer fills the queue and is told.
killed_reader() {
  said writer ready
  said reader "$1"
  send_signal reader KILL
  ends reader 137
  send_signal writer USR2
  ends writer 0
  said writer 'the other has ended'
  rm -f "/dev/shm/$b" # the dead one's
  nothing_left
}

for mode in '' -p; do
  for one in model ours; do
    begin "the reader ($one${mode:+, polling}) is killed while it holds samples: the writer is told"
    start_as ours writer "$a" "$b" -b -q 16 $mode fill
    start_as $one reader "$b" "$a" hold 3
    said writer ready
    send_signal writer USR2
    said reader ready
    send_signal reader KILL
    ends reader 137
    ends writer 0
    said writer 'the other has ended'
    passed

    begin "the writer ($one${mode:+, polling}) is killed with samples queued: they are read, then the end is told"
    start_as ours reader "$b" "$a" -b receive all
    start_as $one writer "$a" "$b" $mode -c signal send 5
    said reader ready
    said writer 'sent 5'
    send_signal writer KILL
    ends writer 137
    send_signal reader USR2
    ends reader 0
    said reader 'received 5'
    said reader 'the other has ended'
    passed

    begin "the writer ($one${mode:+, polling}) is killed while the reader waits: the reader is told"
    start_as ours reader "$b" "$a" receive all
    start_as $one writer "$a" "$b" $mode -c signal send 5
    said reader 'received the first'
    said writer ready
    send_signal writer KILL
    ends writer 137
    ends reader 0
    said reader 'received 5'
    passed
  done

  begin "the writer claims a cell and dies${mode:+ (polling)}: what came after it is read, then the end is told"
  start_as ours reader "$b" "$a" receive all
  start_as model writer "$a" "$b" $mode claim 2
  said writer ready
  said reader 'received the first'
  not_said reader 'received 4'
  send_signal writer KILL
  ends writer 137
  ends reader 0
  said reader 'received 4'
  passed
done

begin 'the reader is killed while it holds the mutex: the writer is told'
start_as ours writer "$a" "$b" -b fill
start_as model reader "$b" "$a" hold-mutex
killed_reader ready
passed

begin 'the reader is killed while it waits: the writer is told'
start_as ours writer "$a" "$b" -b fill
start_as model reader "$b" "$a" wait
killed_reader waiting
passed

begin 'the reader of this library is killed while it waits: the writer of this library is told'
start_as ours writer "$a" "$b" -b fill
start_as ours reader "$b" "$a" read-end
said reader 'opened .*'
until_true in_futex reader
killed_reader 'opened .*'
passed

begin 'a reader of this library that is killed while it waits leaves nothing that holds up a VILLASnode'
start_as model writer "$a" "$b" -b -t send 600
start_as ours reader "$b" "$a" read-end
said writer ready
said reader 'opened .*'
until_true in_futex reader
send_signal reader KILL
ends reader 137
send_signal writer USR2
ends writer 0
said writer 'sent 512'
passed

begin 'a writer that is killed while it holds the mutex: the reader is told'
start_as ours reader "$b" "$a" -b receive all
start_as model writer "$a" "$b" hold-mutex write
said writer ready
said reader ready
send_signal writer KILL
ends writer 137
send_signal reader USR2
ends reader 0
said reader 'received 0'
passed

begin 'a mutex that a living VILLASnode keeps holds up no write for ever'
start_as ours writer "$a" "$b" -b send 3
start_as model keeper "$b" "$a" hold-mutex
said keeper ready
said writer ready
send_signal writer USR2
ends writer 0
said writer 'sent 3'
send_signal keeper TERM
ends keeper 0
nothing_left
passed

begin 'a mutex that a living VILLASnode keeps holds up no read'
start_as ours reader "$b" "$a" receive all
start_as model keeper "$a" "$b" hold-mutex write
said keeper ready
said reader 'opened .*'
send_signal reader TERM
ends reader 0
send_signal keeper TERM
ends keeper 0
nothing_left
passed

# ---- restart -------------------------------------------------------------------------------------

# They talk, whoever comes first.
talk() {
  start_as "$1" asker2 "$a" "$b" -e "$3" send-receive 20
  start_as "$2" mirror2 "$b" "$a" echo
  ends asker2 0
  ends mirror2 0
  said asker2 'sent and received 20'
  nothing_left
}

for one in model ours; do
  begin "one side ($one) is killed and restarts: the survivor is told, and may open again"
  start_as ours survivor "$a" "$b" receive all
  start_as $one killed "$b" "$a" -c signal send 3
  said killed ready
  said survivor 'received the first'
  send_signal killed KILL
  ends killed 137
  ends survivor 0
  said survivor 'received 3'
  talk ours $one "$([ $one = model ] && echo 0 || echo 25)"
  passed

  begin "both sides are killed ($one at the other end): both start again"
  start_as ours first "$a" "$b" -c signal open-only
  start_as $one second "$b" "$a" -c signal open-only
  said first ready
  said second ready
  send_signal first KILL
  send_signal second KILL
  ends first 137
  ends second 137
  [ -e "/dev/shm/$a" ] && [ -e "/dev/shm/$b" ] || fail 'nothing was left: the test shows nothing'
  talk ours $one "$([ $one = model ] && echo 0 || echo 25)"
  passed

  begin "killed while it waits in open ($one): the next to start is not let through, and the one after it is"
  start_as $one dead "$a" "$b" open-only
  said dead "waits for $b"
  until_true waits_in_open dead
  send_signal dead KILL
  ends dead 137
  start_as ours next "$b" "$a" -t 500 open-only
  ends next 1
  grep -q 'has not come in time' "$out/next.err" || fail 'it says something else'
  [ ! -e "/dev/shm/$b" ] && [ ! -e "/dev/shm/sem.$b" ] || fail 'it left something'
  start_as $one dead "$a" "$b" open-only
  said dead "waits for $b"
  until_true waits_in_open dead
  send_signal dead KILL
  ends dead 137
  start_as ours mirror "$b" "$a" echo
  said mirror 'waits for .*'
  start_as $one asker "$a" "$b" -e 25 send-receive 20
  ends asker 0
  ends mirror 0
  nothing_left
  passed

  begin "the other ($one) comes and dies while this one is stopped in its handshake: it waits for the next"
  start_as ours slow "$a" "$b" echo
  said slow "waits for $b"
  until_true test -e "/dev/shm/$a"
  send_signal slow STOP
  until_true is_stopped slow
  start_as $one quick "$b" "$a" open-only
  said quick "waits for $a"
  until_true test -e "/dev/shm/$b"
  send_signal quick KILL
  ends quick 137
  send_signal slow CONT
  start_as $one asker "$b" "$a" -e 25 send-receive 20
  ends asker 0
  ends slow 0
  said slow 'echoed 20'
  nothing_left
  passed
done

begin 'this library restarts beside a VILLASnode that survived and noticed nothing: it is not connected to what nobody reads'
start_as model survivor "$a" "$b" -c signal open-only
start_as ours killed "$b" "$a" -c signal open-only
said survivor ready
said killed ready
send_signal killed KILL
ends killed 137
start_as ours again "$b" "$a" -t 500 open-only
ends again 1
grep -q 'busy with another peer' "$out/again.err" || fail 'it says something else'
[ ! -e "/dev/shm/$b" ] && [ ! -e "/dev/shm/sem.$b" ] || fail 'it left something'
send_signal survivor TERM
ends survivor 0
passed

begin 'what a VILLASnode leaves that failed to create its region blocks nobody'
start_as model node "$a" "$b" -q 600 open-only
ends node 1
[ -e "/dev/shm/$a" ] && [ -e "/dev/shm/sem.$a" ] || fail 'nothing was left: the test shows nothing'
start_as ours early "$b" "$a" -t 300 open-only
ends early 1
start_as model node "$b" "$a" -q 600 open-only
ends node 1
talk ours model 0
passed

begin 'a queue of 600 samples, which VILLASnode cannot create, is read by it'
start_as ours writer "$a" "$b" -q 600 -c signal send 600
start_as model reader "$b" "$a" -b receive 600
said reader ready
said writer 'sent 600'
send_signal reader USR2
ends reader 0
send_signal writer TERM
ends writer 0
nothing_left
passed

# ---- signals, and names that are held ------------------------------------------------------------

begin 'a signal handler runs during open: it ends cleanly and leaves nothing behind'
start_as ours node "$a" "$b" open-only
said node "waits for $b"
one=ours
until_true waits_in_open node
interrupted() { send_signal node USR1 2>/dev/null; has_ended node; }
until_true interrupted
ends node 1
grep -q 'a signal handler ran' "$out/node.err" || fail 'it says something else'
nothing_left
passed

for close in now handler; do
  for one in model ours; do
    begin "SIGTERM ends an idle client (closed $close), and the other ($one) notices"
    start_as ours client "$b" "$a" -c $close echo
    start_as $one node "$a" "$b" receive all
    said client 'opened .*'
    said node 'opened .*'
    until_true in_futex client
    send_signal client TERM
    ends client 0
    ends node 0
    said node 'received 0'
    nothing_left
    passed
  done
done

begin 'both names equal, two processes: the second is told who holds the name'
start_as ours first "$a" "$a" -c signal open-only
said first ready
start_as ours second "$a" "$a" open-only
ends second 1
grep -q "process $(pid first)" "$out/second.err" || fail 'it does not name the process'
send_signal first TERM
ends first 0
nothing_left
passed

begin 'the same end twice: the second is told who holds the name, and the first goes on'
start_as ours first "$a" "$b" -b -e 25 send-receive 20
start_as ours mirror "$b" "$a" echo
said first ready
start_as ours second "$a" "$b" open-only
ends second 1
grep -q "process $(pid first)" "$out/second.err" || fail 'it does not name the process'
send_signal first USR2
ends first 0
ends mirror 0
nothing_left
passed
