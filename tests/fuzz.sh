#!/usr/bin/env bash
# usage: fuzz.sh DIRECTORY (of the targets) CORPUS (what grows, kept from run to run)
# Runs the fuzz targets, each until it has made RUNS executions in all (10 000 000; those of earlier runs count), or for TIME seconds.
#   TARGET="NAME ..."  these only
#   RUNS=N TIME=N      what ends first; RUNS=0: no limit
#   INPUT=FILE         this one input, once, through the one TARGET
#   MERGE=1            writes the corpus that is checked in anew from the one that has grown, as small as it can be made
# Interrupt it at any time: it goes on where it was. Executions are counted in CORPUS/TARGET.runs, in batches.
set -euo pipefail
bin=$1 grown=$2
kept=fuzz/corpus artifacts=$(dirname "$2")/artifacts
targets=${TARGET:-open_channel open_ring open_event look wire live_channel live_ring line libconfig json}
runs=${RUNS:-10000000} time=${TIME:-0}
# What an interruption can lose from the count.
batch=500000
# The objects of the fuzzers are a model of the kernel's (fuzz/src/shm.rs); those of every tenth batch are the kernel's own.
tenth=$((10 * batch))
# What is kept of a target: the corpus is replayed in each test, and checked out by everybody.
most_files=100 most_bytes=25000
export VILLAS_SHM_FUZZ_NAME="villas-fuzz-$$"
# Where a block was allocated, and stacks that are used after their end, cost a third of the speed; what is looked for is steps outside regions. What
# was freed is kept from being used again for as long as some tens of inputs take: if it were longer, all memory would always be fresh from the kernel.
export ASAN_OPTIONS=detect_leaks=0:malloc_context_size=0:detect_stack_use_after_return=0:quarantine_size_mb=1:thread_local_quarantine_size_kb=64
# Megabytes that an input may ask for at once, and that a batch may use at most.
most_memory=3000

executions() { cat "$grown/$1.runs" 2>/dev/null || echo 0; }

# What was found, and what was written by hand, by its name. Of the others those that together reach all that any of them does, and where these are too many, an even choice
# of the short and the long ones.
merge() {
  local small file size all step at=0 sum=0
  small=$(mktemp -d)
  "$bin/$1" -set_cover_merge=1 -max_len=4096 "$small" "$kept/$1" "$grown/$1" 2>"$grown/$1.log"
  find "$kept/$1" -type f ! -name 'found-*' ! -name 'given-*' -delete
  all=$(find "$small" -type f | wc -l)
  step=$(((all + most_files - 1) / most_files))
  while read -r size file; do
    at=$((at + 1))
    [ $((at % step)) = 0 ] && [ $((sum + size)) -le "$most_bytes" ] || continue
    sum=$((sum + size))
    cp "$small/$file" "$kept/$1"
  done < <(find "$small" -type f -printf '%s %f\n' | sort -n)
  echo "$1: $(find "$kept/$1" -type f | wc -l) of $all inputs kept, $(cat "$kept/$1"/* | wc -c) bytes"
  rm -rf "$small"
}

# One batch of $2 executions, of at most $3 seconds if that is not 0.
run() {
  local longest=4096 made peak kernel=
  # Scripts make a bounded number of calls, and lines do not depend on each other; regions are described, or given.
  case $1 in live_* | line) longest=600 ;; esac
  [ $(($(executions "$1") % tenth)) -lt $((tenth - batch)) ] || kernel=1
  # No input may take longer than a minute, on a machine that has other work too. The limit of all memory (-rss_limit_mb) would be held by a second
  # thread, for which each change of a mapping disturbs another processor. To weigh inputs by how rare their features are
  # (-entropic), and to look for shorter ones with the same features (-reduce_inputs), would be a quarter of the time. Who looks for leaks
  # runs an input twice that leaves memory allocated (-detect_leaks), and the sanitizer would not tell of any here.
  if ! ${kernel:+env VILLAS_SHM_FUZZ_KERNEL=1} "$bin/$1" -runs="$2" -max_total_time="$3" -max_len="$longest" \
    -timeout=60 -rss_limit_mb=0 -malloc_limit_mb="$most_memory" -entropic=0 -reduce_inputs=0 -detect_leaks=0 -print_final_stats=1 \
    -artifact_prefix="$artifacts/$1-" "$grown/$1" "$kept/$1" 2>"$grown/$1.log"; then
    tail -n 40 "$grown/$1.log" >&2
    echo "fuzz: $1 failed; the input is in $artifacts" >&2
    exit 1
  fi
  made=$(sed -n 's/^stat::number_of_executed_units: *//p' "$grown/$1.log")
  echo $(($(executions "$1") + made)) >"$grown/$1.runs"
  echo "$1: $(executions "$1") executions, $(find "$grown/$1" -type f | wc -l) inputs," \
    "$(sed -n 's/^stat::average_exec_per_sec: *//p' "$grown/$1.log")/s"
  peak=$(sed -n 's/^stat::peak_rss_mb: *//p' "$grown/$1.log")
  if [ "$peak" -gt "$most_memory" ]; then
    echo "fuzz: $1 used $peak MB" >&2
    exit 1
  fi
}

main() {
  local target left now begin
  # What a crash leaves. After this script is killed the next fuzzer does it.
  trap 'rm -f /dev/shm/"$VILLAS_SHM_FUZZ_NAME"-* /dev/shm/sem."$VILLAS_SHM_FUZZ_NAME"-*' EXIT
  trap 'exit 130' INT TERM
  mkdir -p "$artifacts"
  for target in $targets; do
    mkdir -p "$grown/$target" "$kept/$target"
    if [ -n "${INPUT:-}" ]; then
      "$bin/$target" "$INPUT"
      continue
    elif [ -n "${MERGE:-}" ]; then
      merge "$target"
      continue
    fi
    begin=$SECONDS
    while [ "$runs" = 0 ] || [ "$(executions "$target")" -lt "$runs" ]; do
      left=$((time == 0 ? 0 : time - (SECONDS - begin)))
      [ "$time" = 0 ] || [ "$left" -gt 0 ] || break
      now=$((runs - $(executions "$target")))
      run "$target" $((runs == 0 || now > batch ? batch : now)) "$left"
    done
    [ "$runs" = 0 ] || [ "$time" != 0 ] || echo "$target: done, $(executions "$target") executions"
  done
}

# Read to its end before it begins: a change of this file does not reach a run that goes on for hours.
main
exit
