# Everything that a user or a developer does with this project. "make help" lists it.

CARGO ?= cargo
CC ?= cc
CXX ?= c++
TARGET := $(or $(CARGO_TARGET_DIR),target)
LIB := $(TARGET)/release
# How cargo builds what is in LIB.
CARGO_BUILD := $(CARGO) build --release
CFLAGS ?= -O2
WARNINGS := -Wall -Wextra -Wpedantic -Werror
LINK = -Iinclude -L$(LIB) -lvillas_shm -Wl,-rpath,$(abspath $(LIB))

PREFIX = /usr/local
LIBDIR = $(PREFIX)/lib
INCLUDEDIR = $(PREFIX)/include
BINDIR = $(PREFIX)/bin
# Where an installed program looks for the library, from BINDIR; $$LIB is lib64 or lib/x86_64-linux-gnu, as the system has it.
RUNPATH := $$ORIGIN/../lib:$$ORIGIN/../lib64:$$ORIGIN/../$$LIB

export VILLAS_SHMEM_CLIENT = $(abspath $(LIB)/villas-shmem)

.DEFAULT_GOAL := build

.PHONY: help build bridge deb test-deb dist test-dist install uninstall demo check check-parts test proofs extras test-forks test-polls test-watch test-rust test-c test-python test-bridge bridge-lab bridge-mqtt bench-bridge python-extras python wheel test-c-asan test-cpp-sanitizers test-tool test-install test-cmake test-wire test-valgrind test-asan test-tsan test-fuzz test-fuzz-asan fuzz fuzz-targets fuzz-corpus model loom loom-long loom-mutants msrv test-aarch64 crash crash-sweep crash-random stress bench bench-quick bench-pipe bench-formats bench-instructions bench-tap bench-descriptors header abi \
        format lint doc check-deps clean

help: ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: $(LIB)/villas-shmem $(LIB)/package/villas-shmem $(LIB)/package/libvillas_shm.a pages ## the library, the tool and the C client, into target/release

# cargo knows what is out of date.
.PHONY: library
library: check-deps
	$(CARGO_BUILD)
	@ln -sf libvillas_shm.so $(LIB)/libvillas_shm.so.0

$(LIB)/villas-shmem: clients/shmem/villas-shmem.c include/villas/shmem.h library
	$(CC) -std=c11 -pthread $(WARNINGS) $(CFLAGS) $< $(LINK) -o $@

# A workspace of its own, and a folder of its own: its dependencies take minutes to build.
OF_BRIDGE = --manifest-path clients/bridge/Cargo.toml --target-dir $(TARGET)/bridge --locked
bridge: check-deps ## villas-shm-bridge, by which a channel goes on over Zenoh on other machines; minutes, the first time
	$(CARGO) build --release $(OF_BRIDGE)
	@mkdir -p $(LIB)
	@ln -sf ../bridge/release/villas-shm-bridge $(LIB)/villas-shm-bridge

# As they are installed: without the way to this checkout, and without debug information.
$(LIB)/package/villas-shmem: $(LIB)/villas-shmem
	@mkdir -p $(@D)
	$(CC) -std=c11 -pthread $(WARNINGS) $(CFLAGS) clients/shmem/villas-shmem.c -Iinclude -L$(LIB) -lvillas_shm \
	    -Wl,--enable-new-dtags,-rpath,'$(RUNPATH)' -o $@

# As a distribution has it: the loader knows its directory, and its flags come from the environment.
$(LIB)/package/plain/villas-shmem: $(LIB)/villas-shmem
	@mkdir -p $(@D)
	$(CC) -std=c11 -pthread $(WARNINGS) $(CPPFLAGS) $(CFLAGS) clients/shmem/villas-shmem.c -Iinclude $(LDFLAGS) -L$(LIB) -lvillas_shm -o $@

.PHONY: for-package
for-package: build $(LIB)/package/plain/villas-shmem ## what "make install PACKAGE=1 DESTDIR=STAGE" puts into a stage for a distribution's package

$(LIB)/package/libvillas_shm.a: library
	@mkdir -p $(@D)
	strip --strip-debug -o $@ $(LIB)/libvillas_shm.a

# Written anew each time: a page that is gone leaves no file.
.PHONY: pages
pages: library
	@rm -rf $(LIB)/package/man $(LIB)/package/completions
	@$(LIB)/villas-shm-man $(LIB)/package

# What is installed must have been built before, by the user and not by root.
install uninstall: export PREFIX := $(PREFIX)
install uninstall: export LIBDIR := $(LIBDIR)
install uninstall: export INCLUDEDIR := $(INCLUDEDIR)
install uninstall: export BINDIR := $(BINDIR)
install uninstall: export DESTDIR := $(DESTDIR)
install uninstall: export FORCE := $(FORCE)
install uninstall: export BRIDGE := $(BRIDGE)
install uninstall: export PACKAGE := $(PACKAGE)
install: ## what was built, into PREFIX=/usr/local; also DESTDIR, LIBDIR, INCLUDEDIR, BINDIR, FORCE=1 to replace other programs' files, BRIDGE=1 for the bridge too, PACKAGE=1 for a stage of a distribution's package
	@cmake/install.sh install '$(LIB)'

uninstall: ## removes what was installed into PREFIX, LIBDIR and DESTDIR
	@cmake/install.sh uninstall '$(LIB)'

deb: ## Debian packages of what make install installs, into target/deb; BRIDGE=1 for the bridge too
	@CARGO="$(CARGO)" BRIDGE="$(BRIDGE)" cmake/deb.sh $(TARGET)

test-deb: check-deps ## lintian, and a fresh Debian in a chroot in which the packages are used, upgraded and purged
	@CARGO="$(CARGO)" tests/deb.sh $(TARGET)

dist: ## what is committed, with all crates, as target/dist/villas-shm-VERSION.tar.xz: it builds without a network
	@tests/install-missing.sh python3 git $(CARGO)
	@CARGO="$(CARGO)" cmake/dist.py $(TARGET)

test-dist: check-deps ## the tarball of two clones, a build of it without a network, and the crate of the library
	@tests/install-missing.sh python3 git
	@CARGO="$(CARGO)" tests/dist.sh $(TARGET)

check-deps:
	@tests/install-missing.sh $(CC) $(CARGO)

demo: build ## the main job: a week of grid data through shared memory to the C client and back, compared
	@tests/demo.sh $(LIB)

check: ## the quick loop: formatting, unit tests and each C test once on a build that is quick to make; minutes
	@$(MAKE) --no-print-directory check-parts LIB=$(TARGET)/debug CARGO_BUILD='$(CARGO) build'
	@echo "make check: all parts passed"

check-parts: library $(LIB)/villas-shmem
	$(CARGO) fmt --all --check
	$(CARGO) test -p villas-shm --lib
	CHECK_QUICK=1 JOBS=2 CC="$(CC)" LIB="$(LIB)" BUILD="$(TARGET)/c-check" tests/run-c.sh $(C_TESTS)

test: test-rust test-tool test-c test-install test-wire test-python test-bridge ## everything that the library and the tool do
	@echo "make test: all parts passed"

proofs: crash-sweep test-forks test-polls test-cpp-sanitizers test-valgrind test-asan test-fuzz model loom ## the same and more under what finds rare faults: kills, forks, valgrind, sanitizers, fuzzers' finds, models
	@echo "make proofs: all parts passed"

extras: msrv test-aarch64 loom-mutants loom-long stress test-watch crash test-c-asan test-tsan test-fuzz-asan test-cmake python-extras bridge-lab bridge-mqtt test-deb test-dist bench ## what takes too long for CI: hours
	@echo "make extras: all parts passed"

test-rust: library ## unit tests, doctests and integration tests of the library
	$(CARGO) test --profile checks -p villas-shm
	$(CARGO) test --profile checks -p villas-shm --features bytemuck --test structs

test-tool: build ## tests of the command-line tool, of the demo, of the examples and of the documents
	@tests/install-missing.sh $(CXX)
	$(CARGO) test --profile checks -p villas-shm-tool -p villas-shm-man -p villas-shm-node -p villas-shm-measure -p villas-shm-picture
	@CC="$(CC)" CXX="$(CXX)" tests/readme.sh $(LIB)
	@CC="$(CC)" CXX="$(CXX)" CARGO="$(CARGO)" tests/examples.sh $(LIB)
	@tests/year.sh $(LIB)

test-c: build ## the C and C++ tests, each in a process of its own
	@tests/install-missing.sh $(CXX) python3
	@tests/symbols.sh $(LIB)
	@CC="$(CC)" tests/abi.py check $(LIB)
	@CC="$(CC)" tests/abi.py test $(LIB)
	KILLS=1000 JOBS=2 CC="$(CC)" CXX="$(CXX)" LIB="$(LIB)" BUILD="$(TARGET)/c-tests" tests/run-c.sh
	@CC="$(CC)" CXX="$(CXX)" tests/ring-clients.sh $(LIB)
	@CC="$(CC)" tests/lifecycle.sh $(LIB)

# A folder of its own: other features of the library, and what pip and maturin bring.
python test-python python-extras wheel bridge-lab bridge-mqtt: export TARGET := $(TARGET)
python: check-deps ## the Python package, with pytest and mypy, in target/python/venv
	@tests/python.sh venv

test-python: build ## the tests of the Python package, against the C client, the tool and a second Python
	@LIB=$(LIB) tests/python.sh test

python-extras: build ## the tests of the Python package with pandapower, and under valgrind; its speed beside C and others
	@LIB=$(LIB) tests/python.sh extras

wheel: check-deps ## a manylinux wheel of the Python package in target/python/wheels, and whether it installs without Rust
	@tests/python.sh wheel

# Without optimisation, so that Zenoh is compiled in a third of the time.
test-bridge: build ## the bridge's tests: two bridges on this host, kills, garbage
	$(CARGO) test --profile checks $(OF_BRIDGE)
	@tests/bridge.sh $(LIB) $(TARGET)/bridge/checks/villas-shm-bridge

bridge-lab: build bridge ## the bridge between hosts that are network namespaces: links that fail or lose, a router, TLS; three minutes
	@tests/bridge-lab.sh $(LIB) $(LIB)/villas-shm-bridge

bridge-mqtt: build bridge ## the same through Zenoh's own router, zenohd, and to MQTT clients by its plugin; it builds both, which takes minutes the first time
	@tests/zenohd.sh $(TARGET)/zenohd
	@ZENOHD=$(TARGET)/zenohd tests/bridge-lab.sh $(LIB) $(LIB)/villas-shm-bridge -k 'zenohd or mqtt'

test-forks: build ## 20 000 forks beside threads that open, close and wait, in two pid namespaces
	FORKS=20000 CHECK_VERBOSE=1 CC="$(CC)" LIB="$(LIB)" BUILD="$(TARGET)/c-tests" tests/run-c.sh fork_beside

test-polls: build ## a million samples and a thousand deaths while epoll alone waits; two minutes
	POLL_SAMPLES=1000000 POLL_KILLS=1000 CHECK_VERBOSE=1 CC="$(CC)" LIB="$(LIB)" BUILD="$(TARGET)/c-tests" tests/run-c.sh poll_traffic poll_kills

test-watch: build ## 200 recordings of `watch` that are killed, and a tap beside 200 deaths; three minutes
	WATCH_KILLS=200 $(CARGO) test --profile checks -p villas-shm-tool --test watch killed
	TAP_KILLS=200 $(CARGO) test --profile checks -p villas-shm --test tap_traffic

stress: build ## 20 million messages through rings of each kind, threads and processes, and a region of 9 GB; three minutes, if nothing else runs
	RING_STRESS=20000000 LIMIT=3600 CHECK_VERBOSE=1 CC="$(CC)" LIB="$(LIB)" BUILD="$(TARGET)/c-tests" tests/run-c.sh ring_stress
	CHECK_LARGE=1 CHECK_VERBOSE=1 CC="$(CC)" LIB="$(LIB)" BUILD="$(TARGET)/c-tests" tests/run-c.sh large

C_TESTS := $(basename $(notdir $(wildcard tests/c/*.c)))
CPP_TESTS := $(basename $(notdir $(wildcard tests/c/*.cpp)))

test-cpp-sanitizers: build ## the C++ tests under the address, undefined-behaviour and thread sanitizers, and as C++20
	@tests/install-missing.sh $(CXX)
	@for with in SANITIZE=address,undefined SANITIZE=thread STANDARD=20; do echo "$$with"; \
	    env "$$with" JOBS=2 CC="$(CC)" CXX="$(CXX)" LIB="$(LIB)" BUILD="$(TARGET)/c-tests-$${with%%,*}" tests/run-c.sh $(CPP_TESTS) || exit; done

# Not instrumented: tests that count locked memory, addresses or stack, that count on times, or that
# stand in for system calls.
# The sanitizer's allocator has locks that a child forked beside threads inherits taken: fork_beside hangs in its calloc.
ASAN_TESTS = $(filter-out locked limits open_failures stack detection restarts fork_beside poll_life poll_limits,$(C_TESTS))
test-c-asan: build ## the C tests under the address and undefined-behaviour sanitizers; two minutes
	CHECK_SLOW=1 SANITIZE=address,undefined JOBS=2 CC="$(CC)" LIB="$(LIB)" BUILD="$(TARGET)/c-tests-asan" tests/run-c.sh $(ASAN_TESTS)

test-install: for-package ## installs into temporary directories, and builds programs against that by pkg-config and CMake
	@tests/install-missing.sh $(CXX) cmake pkg-config python3
	CC="$(CC)" CXX="$(CXX)" tests/install.sh $(LIB)
	@CXX="$(CXX)" tests/typed.sh $(LIB)
	@tests/readme-install.sh $(LIB)
	@tests/install-missing.sh man mandoc bash
	@CC="$(CC)" tests/pages.sh $(LIB)

test-cmake: check-deps ## builds the library as a part of other CMake projects, by make and by Ninja; four minutes
	@if tests/install-missing.sh $(CXX) cmake ninja git; then CC="$(CC)" CXX="$(CXX)" tests/cmake.sh $(TARGET)/cmake; \
	else echo "test-cmake: skipped, as something is missing"; fi

WIRE := $(TARGET)/wire
WIRE_SOURCES := $(wildcard tests/wire/*.cpp)

test-wire: build $(WIRE)/villasnode-peer $(WIRE)/villasnode-peer-san $(WIRE)/ours ## VILLASnode's own layout: a model of VILLASnode, against images that it wrote, and against this library
	@tests/install-missing.sh python3
	@for peer in $(WIRE)/villasnode-peer $(WIRE)/villasnode-peer-san; do \
	    for part in images model weaknesses tool; do tests/wire/$$part.sh $$peer $(LIB) || exit; done; done
	@tests/wire/library.sh $(WIRE)/villasnode-peer $(WIRE)/ours
	@tests/wire/library.sh $(WIRE)/villasnode-peer-san $(WIRE)/ours quick

$(WIRE)/ours: tests/wire/ours.c include/villas/shmem.h library
	@mkdir -p $(WIRE)
	$(CC) -std=c11 $(WARNINGS) $(CFLAGS) $< $(LINK) -o $@

$(WIRE)/villasnode-peer-san: SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all
$(WIRE)/villasnode-peer $(WIRE)/villasnode-peer-san: $(WIRE_SOURCES) $(wildcard tests/wire/*.hpp)
	@tests/install-missing.sh $(CXX)
	@mkdir -p $(WIRE)
	$(CXX) -std=c++17 $(WARNINGS) -pthread -O2 -g $(SANITIZE) $(WIRE_SOURCES) -o $@

test-valgrind: build ## the C tests under valgrind
	@tests/install-missing.sh valgrind
	VALGRIND=1 JOBS=2 CC="$(CC)" CXX="$(CXX)" LIB="$(LIB)" BUILD="$(TARGET)/c-tests-valgrind" tests/run-c.sh

# The sanitizer is a compiler flag that is not stable yet; its run-time library comes with the stable toolchain.
test-asan: check-deps ## the Rust tests under the address sanitizer
	RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" ASAN_OPTIONS=detect_leaks=0 CARGO_TARGET_DIR=$(TARGET)/asan \
	    $(CARGO) test -p villas-shm --lib --tests --target $$(rustc -vV | sed -n 's/^host: //p')

test-fuzz-asan: check-deps ## the same as test-fuzz under the address sanitizer; two minutes, of which most to build
	cd fuzz && RUSTC_BOOTSTRAP=1 RUSTFLAGS="$(SANITIZED)" ASAN_OPTIONS=detect_leaks=0 \
	    $(CARGO) test --release --target-dir $(abspath $(TARGET))/fuzz-asan --target $$(rustc -vV | sed -n 's/^host: //p')

# The targets' functions without the fuzzer, on the stable compiler.
test-fuzz: check-deps ## what the fuzzers have found, once more
	cd fuzz && $(CARGO) test --release --target-dir $(abspath $(TARGET))/fuzz-replay

# As for the address sanitizer. The standard library is not instrumented, as its sources are no part of the toolchain: what of it is compiled into the
# library (atomics, cells) is, and of the rest nothing that the library uses orders anything. GCC instruments the C tests; all share the run-time library of Rust.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
TSAN_TESTS = threads wakeups waiting full_and_empty forks death life_2017 references odd_threads descriptors \
    ring_waiting ring_stress ring_in_place ring_life endpoint event_waits event_death wire_closing wire_calls wire_samples

test-tsan: check-deps ## the C tests of threads under the thread sanitizer, the library instrumented too; TSAN_TESTS="NAME..." for others (closing takes three minutes)
	RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer" CARGO_TARGET_DIR=$(TARGET)/tsan \
	    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 $(CARGO) build --release -p villas-shm --lib --target $(HOST)
	TSAN_RUNTIME=$$(rustc --print sysroot)/lib/rustlib/$(HOST)/lib/librustc-stable_rt.tsan.a RING_STRESS=20000 \
	    CC="$(CC)" CXX="$(CXX)" LIB="$(TARGET)/tsan/$(HOST)/release" BUILD="$(TARGET)/c-tests-tsan" tests/run-c.sh $(TSAN_TESTS)

# Coverage needs flags of the compiler that are not stable yet, as for the address sanitizer; libFuzzer comes as a package.
FUZZ := $(or $(CARGO_TARGET_DIR),target)/fuzz
SANITIZED = -Zsanitizer=address --cfg fuzzing --cfg asan
COVERED = -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 \
    $(if $(filter x86_64-%,$(HOST)),$(foreach name,$(WRAPPED),-Clink-arg=-Wl,--wrap=$(name)))
# What the fuzzers' crate stands in for: comparisons that the fuzzer has no use for, and what the C library has for `/dev/shm`.
WRAPPED = $(foreach of,cmp1 cmp2 cmp4 cmp8,__sanitizer_cov_trace_$(of) __sanitizer_cov_trace_const_$(of)) \
    open open64 close fcntl fstat lstat statx fstatvfs linkat unlink posix_fallocate ftruncate64 pread pwrite64 mmap munmap
# The fuzzer itself is not looked at by the sanitizer: that took a third of the time.
fuzz-targets: check-deps
	@tests/install-missing.sh $(CXX)
	cd fuzz && RUSTC_BOOTSTRAP=1 CXXFLAGS="$(CXXFLAGS) -fno-sanitize=address" RUSTFLAGS="$(SANITIZED) $(COVERED)" $(CARGO) build --release --features libfuzzer \
	    --target-dir $(abspath $(FUZZ)) --target $$(rustc -vV | sed -n 's/^host: //p')

# RUNS, TIME, TARGET and INPUT are for the script, which says what they mean. TARGET is a name of this file's too, which these rules do not use:
# only one that is given on the command line is passed on.
fuzz fuzz-corpus: export TARGET := $(if $(filter command line,$(origin TARGET)),$(TARGET),)
fuzz fuzz-corpus: export RUNS := $(RUNS)
fuzz fuzz-corpus: export TIME := $(TIME)
fuzz fuzz-corpus: export INPUT := $(INPUT)
fuzz: fuzz-targets ## coverage-guided, under the address sanitizer: TARGET=NAME RUNS=10000000 TIME=SECONDS, goes on where it was; tests/fuzz.sh
	@tests/fuzz.sh $(FUZZ)/$$(rustc -vV | sed -n 's/^host: //p')/release $(FUZZ)/corpus

fuzz-corpus: fuzz-targets ## writes fuzz/corpus anew from what has been found
	@MERGE=1 tests/fuzz.sh $(FUZZ)/$$(rustc -vV | sed -n 's/^host: //p')/release $(FUZZ)/corpus

model: ## the block protocol, by exhaustion (python3)
	@tests/install-missing.sh python3
	python3 tests/model/blocks.py 2 2 01 600

loom: check-deps ## the concurrent parts of the library, every interleaving within the bounds of docs/testing.md
	RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=$(TARGET)/loom $(CARGO) test --profile loom -p villas-shm-models

loom-long: export VILLAS_SHM_LOOM = long
loom-long: loom ## the same within the wider bounds there

test-aarch64: build ## cross-built for aarch64 by Debian's compilers, run under qemu: C, C++ and Rust tests, a node and a client of both machines over one region; tests/aarch64.sh
	@CARGO="$(CARGO)" LIB="$(LIB)" tests/aarch64.sh || { [ $$? = 77 ]; }

msrv: check-deps ## the oldest Rust that builds this, Debian's rustc-web unpacked into target/msrv: checks and unit tests; five minutes
	@CARGO="$(CARGO)" tests/msrv.sh || { [ $$? = 77 ]; }

loom-mutants: check-deps ## weakens the library in some fifty places, one after the other: a model must fail for each; half an hour
	CARGO="$(CARGO)" BUILD="$(TARGET)/loom-mutants" tests/loom-mutants.sh

crash: crash-sweep crash-random ## kills: before each store to shared memory, then KILLS=1000 at random (TIME=seconds, SEED=, JOBS=2), and how soon they are noticed

crash-sweep: check-deps
	@echo "== killed before each store (REPAIRS=all: each pair of a store and a store of its repair)"
	CARGO_TARGET_DIR=$(TARGET)/crash CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	    $(CARGO) test --release -p villas-shm --features _test_crash_points --test crash --test ring_crash --test event_crash -- --nocapture

# The same SEED again goes on where the last run has ended.
KILLS = 1000
DEATHS = 12
crash-random: export SEED := $(SEED)
crash-random: export TIME := $(TIME)
crash-random: export JOBS := $(or $(JOBS),2)
crash-random: build
	@echo "== killed at random"
	@KILLS=$(KILLS) KILLS_LOG=$(if $(SEED),$(TARGET)/kills-$(SEED).log) DEATHS=$(DEATHS) CHECK_VERBOSE=1 LIMIT=$(or $(TIME:%=$(TIME)0),86400) \
	    CC="$(CC)" LIB="$(LIB)" BUILD="$(TARGET)/c-tests" tests/run-c.sh kills ring_death wire_death restarts detection

# In C and C++; the benchmark loads them.
BENCH_PARTS = $(LIB)/libvillas-bench-sketch.so $(LIB)/libvillas-bench-boost.so

bench: $(BENCH_PARTS) library ## speed beside bare yardsticks and peers: eight minutes; writes docs/performance.md, its tables and plots
	$(CARGO) build --release -p villas-shm-bench --features iceoryx2
	$(LIB)/villas-shm-bench $(BENCH) --document docs/performance.md

bench-quick: $(BENCH_PARTS) library ## the same in a minute, with fewer rows; prints only
	$(CARGO) build --release -p villas-shm-bench --features iceoryx2
	$(LIB)/villas-shm-bench $(BENCH) --quick

# Options for villas-shm-bench, as in "make bench BENCH='--cpus 2,3'", or "make bench-quick BENCH='--only asleep'".
BENCH =

$(LIB)/libvillas-bench-sketch.so: bench/sketch.c
	@mkdir -p $(@D)
	$(CC) -std=c11 $(WARNINGS) -O2 -fPIC -shared $< -o $@

# Where Boost cannot be had, the benchmark says so and goes on.
$(LIB)/libvillas-bench-boost.so: bench/boost/queue.cpp
	@mkdir -p $(@D)
	@tests/install-missing.sh $(CXX) boost/interprocess/ipc/message_queue.hpp && \
	    $(CXX) -std=c++17 $(WARNINGS) -O2 -fPIC -shared $< -pthread -o $@ || echo "Boost.Interprocess will not be measured"

bench-pipe: build ## speed of the tool with the C client, beside parsing and printing alone
	@bench/pipe.sh $(LIB)

bench-formats: build ## speed of the tool's formats, beside reading and printing villas.human
	@bench/formats.sh $(LIB)

bench-instructions: library ## instructions of a sample's and a message's way, by callgrind; with BEFORE=DIRECTORY beside another build's
	@bench/instructions.sh $(BEFORE) $(LIB)

bench-tap: library ## what a tap sees at 20 000 samples per second, and what it costs; two minutes
	$(CARGO) build --release -p villas-shm-bench --bin villas-bench-tap
	$(LIB)/villas-bench-tap

bench-bridge: bridge ## the bridge beside a bare program with Zenoh and a bare UDP socket, on this host; a minute
	$(TARGET)/bridge/release/villas-bridge-bench $(LIB)/villas-shm-bridge

bench-descriptors: $(LIB)/villas-bench-descriptors ## the descriptors to poll, beside a bare hand-over, alone and among 200; two minutes
	@$< $(BENCH)

$(LIB)/villas-bench-descriptors: bench/descriptors.c bench/descriptors.h include/villas/shmem.h library
	$(CC) -std=c11 -pthread $(WARNINGS) $(CFLAGS) $< $(LINK) -o $@

header: check-deps ## writes include/villas/shmem.h anew from src/capi
	VILLAS_SHM_WRITE_HEADER=1 $(CARGO) build --release -p villas-shm

abi: library ## describes what programs rely on anew in tests/abi.txt; refuses what breaks those that were built before, unless the SONAME is another
	@CC="$(CC)" tests/abi.py write $(LIB)

format: ## formats Rust (C: clang-format, where installed)
	$(CARGO) fmt --all

# Side by side, as one crate of the bridge's takes minutes of one processor.
lint: ## how the library is built, the documents, formatting, clippy
	@$(MAKE) --no-print-directory --output-sync=line $(if $(filter -j%,$(MAKEFLAGS)),,-j2) lint-bridge lint-rest

.PHONY: lint-rest
lint-rest:
	@tests/install-missing.sh python3
	@tests/structure.py --check
	@tests/docs.py
	@tests/loom-mutants.sh --check
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy -p villas-shm --features _test_crash_points --tests --bins -- -D warnings
	$(CARGO) clippy -p villas-shm --no-default-features --features bytemuck -- -D warnings
	cd clients/python && $(CARGO) fmt --check && $(CARGO) clippy --target-dir $(abspath $(TARGET))/python/cargo -- -D warnings
	cd fuzz && $(CARGO) fmt --all --check && $(CARGO) clippy --release --lib --test replay --target-dir $(abspath $(TARGET))/fuzz-replay -- -D warnings

# cargo clippy would compile all that the bridge depends on once more, to check it only. This is what it does, on the build that test-bridge uses.
.PHONY: lint-bridge
lint-bridge:
	cd clients/bridge && $(CARGO) fmt --check
	RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS="-Dwarnings__CLIPPY_HACKERY__" $(CARGO) test --profile checks --no-run $(OF_BRIDGE)

doc: ## the documentation of the Rust crate
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps -p villas-shm

clean:
	$(CARGO) clean
