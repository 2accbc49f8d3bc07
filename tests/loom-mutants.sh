#!/bin/sh
# Weakens the library in one place after another, each an edge or a step that the sources argue for, and runs the loom models of that part:
# one of them must fail. So it shows that the models can see what they are there for. They run within the bounds of `make loom`.
#
#   tests/loom-mutants.sh [LABEL...]     all, or those named
#   tests/loom-mutants.sh --check        only whether each line below is complete and changes its file
#
# Works on a copy in BUILD (target/loom-mutants). Prints one line for each, and ends with 1 if a weakening went unseen that is not listed as
# argued, or one that is listed was seen, or a line below no longer fits the sources.
cd "$(dirname "$0")/.." || exit 1
: "${CARGO:=cargo}" "${BUILD:=${CARGO_TARGET_DIR:-target}/loom-mutants}"
mkdir -p "$BUILD" && BUILD=$(cd "$BUILD" && pwd) || exit 1

# LABEL  seen or argued  what x86 would hide  MODELS (regular expression)  FILE  SED
# "argued": no tool finds it, on this machine or in this model; the argument stands in docs/testing.md.
#
# What a run on x86, as under an emulator for another machine, would show of it:
#   hidden  nothing: x86 keeps loads in order, stores in order, a load before a later store, and a
#           locked exchange before all; only the compiler could move an access
#   light   a fence between a store and a later load, which x86 needs: shown where the kernel has no
#           membarrier; where it has, the fence is the compiler's alone, on each machine
#   shown   a step that is missing or at another place, or the heavy side of such a fence
mutants() {
  cat <<'TABLE'
Q1-load      seen   hidden echoed|cross       src/protocol/queue.rs     /observe(); \/\/ Q1/s/observe/get/
Q1-store     seen   hidden echoed|cross       src/protocol/queue.rs     /publish(entry); \/\/ Q1/s/publish/set/
Q2-store     argued hidden ^channel::       src/protocol/queue.rs     /publish(position); \/\/ Q2/s/publish/set/
Q2-load      argued hidden ^channel::       src/protocol/queue.rs     /taken(self.side.other()).observe(); \/\/ Q2/s/observe/get/
phase        seen   shown  cross              src/protocol/queue.rs     /entry & 1 == self.phase/s/entry & 1 == self.phase(position)/entry != 0/
room         seen   shown  full_queue         src/protocol/queue.rs     s/self.queuelen.saturating_sub(self.position.wrapping_sub(taken))/(self.queuelen + 1).saturating_sub(self.position.wrapping_sub(taken))/
P1-load      seen   hidden cross|echoed|^channel:: src/protocol/pool.rs      /P1, P2: first/s/observe/get/
P1-store     seen   hidden cross|echoed|^channel:: src/protocol/hand.rs      /publish(self.private.got); \/\/ P1/s/publish/set/
P2-loads     seen   shown  echoed             src/protocol/pool.rs      s/let own = block.sent(side).get();/& let early = block.sent(side.other()).observe();/;s/block.sent(side.other()).observe() == other)/early == other)/
P2-stores    seen   shown  echoed             src/protocol/hand.rs      /P2: first; Q1/i self.block.done(self.side).publish(self.private.got);
references   seen   shown  reference          src/protocol/pool.rs      s/self.blocks\[number as usize\].references == 0 &&/true \&\&/;s/if private.references != 0 {/if false {/
prepared     seen   shown  prepared           src/protocol/pool.rs      s/ && self.is_free(words, self.first + at) {/ {/
high-water   seen   shown  killed             src/protocol/pool.rs      /words.used(self.side).publish/d
complete     seen   shown  reader_that_is_killed             src/protocol/half.rs  /pool.complete(/d
roll-forward seen   shown  killed             src/protocol/half.rs  /pool.complete(/,/notify(/{/output.publish/d}
mark         seen   shown  killed             src/protocol/half.rs  /Flags::REDELIVERED/d
I1-raise     seen   hidden ^interrupts::      src/protocol/interrupts.rs /fetch_add(1, Release)/s/Release/Relaxed/
I1-loads     seen   hidden ^interrupts::      src/protocol/interrupts.rs s/raised.load(Acquire)/raised.load(Relaxed)/
answered     seen   shown  ^interrupts::      src/protocol/interrupts.rs /self.answered.fetch_max/d
W1-notifier  seen   light  ^channel::.*sleep   src/protocol/doorbell.rs      /light_fence(); \/\/ W1/d
W1-sleeper   seen   shown  ^channel::.*sleep   src/protocol/doorbell.rs      /W1, W3$/s/heavy_fence()/true/
W1-bit       seen   shown  ^channel::.*sleep   src/protocol/doorbell.rs      s/bell.word().raise(ASLEEP)/bell.word().get()/
W2-change    seen   shown  ^doorbell::.*left   src/protocol/doorbell.rs      /W2$/s/lessen(PROMISE)/get()/
W2-last      seen   shown  ^doorbell::.*left   src/protocol/doorbell.rs      s/if seen & PROMISES != 0 {/if seen \& PROMISES > PROMISE {/
W2-made      seen   shown  ^doorbell::.*turn   src/protocol/doorbell.rs      s/wake(bell, seen, false)/wake(bell, seen, true)/
W3-notifier  seen   shown  ^doorbell::.*turn   src/protocol/doorbell.rs      /^    fence(Ordering::SeqCst); \/\/ W3/d
W3-sleeper   seen   hidden ^doorbell::.*turn   src/protocol/doorbell.rs      /^        fence(Ordering::SeqCst); \/\/ W3/d
N1-loads     seen   hidden ^readiness::       src/protocol/readiness.rs /observe(); \/\/ N1/s/observe/get/
N-down       seen   shown  ^readiness::       src/protocol/readiness.rs /flag.take_down();/d;s/None => Err(armed),/None => { flag.take_down(); Err(armed) }/
N-arm        seen   shown  ^readiness::       src/protocol/readiness.rs s/let armed = arm(); \/\/ W1, W2, W3/let found = look(); let armed = arm();/;s/match look() {/match found {/
N-look       seen   shown  ^readiness::       src/protocol/readiness.rs s/match look() {/match None::<T> {/
G1-owner     seen   light  ^gate::            src/protocol/gate.rs  /light_fence_here(); \/\/ G1, G2/d
fast-path    seen   shown  ^gate::            src/protocol/gate.rs  s/if self.come_as_owner() { Some(Turn { gate: self }) } else { None }/self.come_as_owner().then_some(Turn { gate: self })/
G1-stranger  seen   shown  ^gate::            src/protocol/gate.rs  /heavy_fence_here(); \/\/ G1/d
G1-resume    seen   light  ^gate::            src/protocol/gate.rs  /light_fence_here(); \/\/ G1$/d
G2-leave     seen   light  ^gate::            src/protocol/gate.rs  /light_fence_here(); \/\/ G2/d
G2-clear     seen   shown  ^gate::            src/protocol/gate.rs  /heavy_fence_here(); \/\/ G2/d
G2-again     seen   shown  ^gate::            src/protocol/gate.rs  s/if !self.is_deserted() {/if true {/
G3-leave     seen   hidden ^gate::            src/protocol/gate.rs  /OUTSIDE, Release); \/\/ G3/s/Release/Relaxed/
G3-pause     seen   hidden ^gate::            src/protocol/gate.rs  /WAITING, Release); \/\/ G3/s/Release/Relaxed/
G3-stranger  seen   hidden ^gate::            src/protocol/gate.rs  s/self.busy.load(Acquire) == INSIDE/self.busy.load(Relaxed) == INSIDE/
G3-clear     seen   hidden ^gate::            src/protocol/gate.rs  s/self.busy.load(Acquire) == OUTSIDE/self.busy.load(Relaxed) == OUTSIDE/
G4-order     seen   shown  ^gate::            src/protocol/gate.rs  /gate.guests.fetch_add(1, SeqCst);/{h;d};/gate.busy.store(OUTSIDE, Release); \/\/ G3/G
revoked      seen   shown  ^gate::            src/protocol/gate.rs  s/let _ = self.owner.compare_exchange(NOBODY, owner, Relaxed, Relaxed);/self.owner.store(owner, Relaxed);/
L1-unlock    seen   hidden ^futex_lock::            src/protocol/futex_lock.rs  s/swap(FREE, Release)/swap(FREE, Relaxed)/
L1-lock      seen   hidden ^futex_lock::            src/protocol/futex_lock.rs  s/compare_exchange(FREE, TAKEN, Acquire, Relaxed)/compare_exchange(FREE, TAKEN, Relaxed, Relaxed)/
L1-slow      seen   hidden ^futex_lock::            src/protocol/futex_lock.rs  s/swap(CONTENDED, Acquire)/swap(CONTENDED, Relaxed)/
L-contended  seen   shown  ^futex_lock::            src/protocol/futex_lock.rs  s/while futex.word().swap(CONTENDED, Acquire) != FREE {/while !try_lock(futex) {/
L-wake       seen   shown  ^futex_lock::            src/protocol/futex_lock.rs  s/futex.wake_one();/{}/
idle         seen   shown  ^gate::            src/protocol/gate.rs  s/is_none_or(|core| core.is_idle())/is_none_or(|_| true)/
R1-store     seen   hidden ^spsc::            src/protocol/spsc.rs /words.word(self.index).publish(self.position + 1); \/\/ R1/s/publish/set/
R1-load      seen   hidden ^spsc::            src/protocol/spsc.rs /u64::from(at) + 1 \/\/ R1/s/observe/get/
R1-look      seen   hidden ^spsc::            src/protocol/spsc.rs s/word.observe() == published/word.get() == published/
R2-store     seen   hidden ^spsc::            src/protocol/spsc.rs /publish(self.position); \/\/ R2/s/publish/set/
R2-load      seen   hidden ^spsc::            src/protocol/spsc.rs /let head = words.head().observe(); \/\/ R2/s/observe/get/
R-clear      seen   shown  ^spsc::            src/protocol/spsc.rs /word.set(0);/d
R-batch      seen   shown  ^spsc::            src/protocol/spsc.rs s/if at > 0 {/if true {/
M1-load      seen   hidden ring::(a_|me|two)|runs::  src/protocol/mpmc.rs s/Word(words.word(at.index).observe()); \/\/ M1/Word(words.word(at.index).get());/
M1-join      seen   hidden runs::             src/protocol/mpmc.rs s/Word(words.word(behind.index).observe()); \/\/ M1/Word(words.word(behind.index).get());/
M1-store     seen   hidden ring::(a_|me|two)  src/protocol/atomics.rs      s/compare_exchange(seen, next, AcqRel, Relaxed)/compare_exchange(seen, next, Acquire, Relaxed)/
M-order      seen   hidden ring::(a_|me|two)|runs::  src/protocol/atomics.rs      s/compare_exchange(seen, next, AcqRel, Relaxed)/compare_exchange(seen, next, Relaxed, Relaxed)/
M2-load      seen   hidden runs::              src/protocol/mpmc.rs s/\(tail\|head\)().observe(); \/\/ M2/\1().get();/
M-skip       seen   shown  ring::(a_|me|two)|runs::  src/protocol/mpmc.rs s/exchange(word.0, word.freed().0); \/\/ M1/exchange(word.0, word.0); \/\/ M1/
M-head       seen   shown  runs::             src/protocol/mpmc.rs /^fn pass</,/^}/{/words.head().exchange/{h;d};/^}/{x;p;x}}
M-settle     seen   shown  ring::(a_|me|two)  src/protocol/mpmc.rs s/(word.to(SKIP, 0), Cause::Skipped)/(word.to(FULL, 0), Cause::Skipped)/
M-lost       seen   shown  ring::(a_|me|two)  src/protocol/mpmc.rs s/TAKEN => (word.freed(), Cause::Lost)/TAKEN => (word.to(FULL, 0), Cause::Lost)/
M-settled    seen   shown  runs::             src/protocol/mpmc.rs s/if word.state() == TAKEN && at.index/if false \&\& at.index/
M-newcomer   seen   shown  ring::(a_|me|two)  src/protocol/mpmc.rs s/if claim.owner() == Some(owner) {/if false {/
M-stands     seen   shown  runs::             src/protocol/mpmc.rs s/let stands = words.word(first).observe() == word.0; \/\/ M1/let stands = true;/
M-rest       seen   shown  runs::             src/protocol/mpmc.rs s/stands && (inside == rest.0 || .*$/stands/
M-rest-lap   seen   shown  runs::             src/protocol/mpmc.rs s/Word::new(cut.lap, /Word::new(at.lap, /
M-help       seen   shown  runs::             src/protocol/mpmc.rs s/indices.ahead(at, word.run())/indices.ahead(at, 1)/
M-exact      seen   shown  runs::             src/protocol/mpmc.rs s/words.word(self.index).exchange(self.word.0, next.0)/words.word(self.index).exchange(words.word(self.index).get(), next.0)/
M-behind     seen   shown  runs::             src/protocol/mpmc.rs s/ || left == 0 || word.run() > words.capacity()/ || true/
V1-store     seen   hidden ^bounded::       src/protocol/bounded.rs s/publish(position.wrapping_add(1)); \/\/ V1/set(position.wrapping_add(1));/
V2-store     seen   hidden ^bounded::       src/protocol/bounded.rs s/publish(position.wrapping_add(queue.cells())); \/\/ V2/set(position.wrapping_add(queue.cells()));/
V1-V2-load   seen   hidden ^bounded::       src/protocol/bounded.rs /\/\/ V1, V2/s/observe/get/
V4-store     seen   hidden ^bounded::       src/protocol/atomics.rs s/self.0.fetch_add(more, SeqCst)/self.0.fetch_add(more, Relaxed)/
V4-load      seen   hidden ^bounded::       src/protocol/bounded.rs /\/\/ V4/s/observe/get/
V4-all       seen   shown  ^bounded::       src/protocol/bounded.rs s/references.observe() == shares ||/true ||/
V-run        seen   shown  ^bounded::       src/protocol/bounded.rs s/if seen.ahead != 0 ||/if seen.count == 0 \&\& seen.ahead != 0 ||/
V-exchange   seen   shown  ^bounded::       src/protocol/bounded.rs s/end.exchange(self.position, next).then_some(\(.*\))$/{ end.set(next); Some(\1) }/
V-skip       seen   shown  ^bounded::       src/protocol/bounded.rs s/if ahead >= 0 || claimed <= 1 ||/if true ||/
E1-look      seen   shown  event::       src/protocol/event.rs s/if armed >> 1 != seen {/if false {/
E2-load      seen   hidden event::       src/protocol/event.rs /E2$/s/observe/get/
E2-store     seen   hidden event::       src/protocol/atomics.rs      s/self.0.fetch_add(more, SeqCst)/self.0.fetch_add(more, Relaxed)/
E-wake       seen   shown  event::       src/protocol/event.rs s/event.wake();//
T1-tag       seen   shown  ^tap::       src/protocol/hand.rs      /block.tag().publish/d
T1-store     seen   hidden ^tap::       src/protocol/hand.rs      /block.tag().publish/s/publish/set/
T1-fence     seen   hidden ^tap::       src/protocol/hand.rs      /light_store_fence(); \/\/ T1/d
T1-heavy     seen   hidden ^tap::       src/protocol/tap.rs       s/if !heavy_fence() {/if false {/
T1-load      seen   hidden ^tap::       src/protocol/tap.rs       /T1: before/s/observe/get/
T1-order     seen   shown  ^tap::       src/protocol/tap.rs       s/was_handed_out(one.tag,/was_handed_out(block.tag().observe(),/
T1-check     seen   shown  ^tap::       src/protocol/tap.rs       s/ && !was_handed_out(one.tag, home, from, one.position)//
T1-home      seen   shown  ^tap::       src/protocol/tap.rs       s/if from == home { tag as u16 }/if true { tag as u16 }/
T1-sent      seen   shown  ^tap::       src/protocol/tap.rs       s/\[Side::A, Side::B\].map(|side| block.sent(side).get()) == one.sent$/true/
T2-fence     seen   hidden ^tap::       src/protocol/doorbell.rs  /light_fence(); \/\/ W1/d
T2-look      seen   shown  ^tap::       src/protocol/tap.rs       s/taken.wrapping_sub(one.position) as i64 > 0/false/
T3-fence     seen   hidden ^ring_tap::  src/protocol/spsc.rs      /light_store_fence(); \/\/ T3/d
T3-look      seen   shown  ^ring_tap::  src/protocol/ring_tap.rs  s/words.head().observe() <= position/true/
T3-heavy     seen   hidden ^ring_tap::.*spsc src/protocol/ring_tap.rs  s/if !heavy_fence() {/if false {/
T4-fence     seen   hidden ^ring_tap::  src/protocol/mpmc.rs      /light_store_fence(); \/\/ T4: before the messages/d
T4-edit      seen   hidden ^ring_tap::  src/protocol/mpmc.rs      /light_store_fence(); \/\/ T4: before it changes/d
T4-look      seen   shown  ^ring_tap::  src/protocol/ring_tap.rs  s/tail.wrapping_sub(one.position) as i64 <= capacity as i64/true/
T4-mark      seen   shown  ^ring_tap::  src/protocol/ring_tap.rs  s/one.may_have_changed = .*/one.may_have_changed = false;/
T4-heavy     seen   hidden ^ring_tap::.*mpmc src/protocol/ring_tap.rs  s/if !heavy_fence() {/if false {/
TABLE
}

if [ "${1:-}" = --check ]; then
  mutants | (
    wrong=0 hidden=0 light=0 shown=0
    while read -r label expected x86 models file change; do
      why=
      case $expected in seen | argued) ;; *) why="neither seen nor argued" ;; esac
      case $x86 in hidden | light | shown) eval "$x86=\$(($x86 + 1))" ;; *) why="does not say what x86 would hide" ;; esac
      sed "$change" "$file" 2>&1 | cmp -s - "$file" && why="changes nothing in $file"
      [ -z "$why" ] || { echo "WRONG   $label: $why" && wrong=$((wrong + 1)); }
    done
    echo "$((hidden + light + shown)) weakenings: x86 would hide $hidden, and show $shown; of $light it shows what the kernel's membarrier leaves"
    [ "$wrong" -eq 0 ]
  )
  exit
fi

rm -rf "$BUILD/tree" && mkdir "$BUILD/tree" || exit 1
cp -R Cargo.toml Cargo.lock build.rs cbindgen.toml README.md bench include src clients tests "$BUILD/tree" || exit 1
export RUSTFLAGS='--cfg loom' CARGO_TARGET_DIR="$BUILD/target"
wanted=" $* "
wrong=0 done=0
# Prints where the test program is.
build() {
  (cd "$BUILD/tree" && "$CARGO" test --profile loom -p villas-shm-models --no-run >"$BUILD/log" 2>&1) || return 1
  program=$(sed -n 's/^ *Executable unittests lib.rs (\(.*\))$/\1/p' "$BUILD/log")
}
# Runs the models that match, until one fails, whose name is in $by then. One that has not ended after LIMIT seconds shows nothing.
run() {
  by='' late=''
  "$program" --list >"$BUILD/models" 2>/dev/null
  for model in $(sed -n 's/: test$//p' "$BUILD/models" | grep -E "$1"); do
    timeout "${LIMIT:=300}" "$program" --exact "$model" >"$BUILD/log" 2>&1 </dev/null
    case $? in
    0) ;;
    124) late="; not ended after $LIMIT s: $model" ;;
    *) by=$model && return 1 ;;
    esac
  done
}

if ! build; then
  tail -n 20 "$BUILD/log"
  exit 1
fi
mutants >"$BUILD/table"
while read -r label expected x86 models file change; do
  case $wanted in "  " | *" $label "*) ;; *) continue ;; esac
  done=$((done + 1))
  cp "$file" "$BUILD/original"
  sed "$change" "$file" >"$BUILD/tree/$file"
  if cmp -s "$file" "$BUILD/tree/$file"; then
    echo "WRONG   $label: changes nothing in $file"
    wrong=$((wrong + 1))
    continue
  fi
  if ! build; then
    echo "WRONG   $label: does not build"
    grep -m 3 '^error' "$BUILD/log" | sed 's/^/        /'
    wrong=$((wrong + 1))
  else
    run "$models"
    status=$?
    case $status.$expected in
    0.argued) echo "argued  $label ($x86 on x86): no model fails$late" ;;
    0.*) wrong=$((wrong + 1)) && echo "UNSEEN  $label$late" ;;
    *.seen) echo "seen    $label ($x86 on x86): $by" ;;
    *) wrong=$((wrong + 1)) && echo "SEEN    $label, which is listed as argued: $by" ;;
    esac
  fi
  cp "$file" "$BUILD/tree/$file"
done <"$BUILD/table"
echo "$done weakenings, $wrong not as listed"
[ "$wrong" -eq 0 ] && [ "$done" -gt 0 ]
