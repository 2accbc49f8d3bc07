#!/bin/sh
# usage: python.sh venv|test|wheel|extras
# The Python package, with what pip installs into TARGET/python (PYTHON: which Python; LIB: where the tool and the C client are).
#   venv    TARGET/python/venv has the package as "pip install clients/python" makes it, pytest and mypy
#   test    the same, then the tests
#   extras  the same with pandapower, then what takes long: the tests under valgrind, the benchmark
#   wheel   a manylinux wheel in TARGET/python/wheels, then whether it installs without Rust
set -eu
cd "$(dirname "$0")/.."
package=clients/python
python=${PYTHON:-python3}
base=$(realpath -m "${TARGET:-target}")/python
export CARGO_TARGET_DIR="$base/cargo" PIP_DISABLE_PIP_VERSION_CHECK=1
tests/install-missing.sh "$python"

new_venv() {
  rm -rf "$1"
  "$python" -m venv "$1" 2>/dev/null && return
  rm -rf "$1"
  tests/install-missing.sh python3-venv # Debian has it apart
  "$python" -m venv "$1"
}

venv() {
  mkdir -p "$base"
  [ -x "$base/venv/bin/pytest" ] || {
    new_venv "$base/venv"
    "$base/venv/bin/python" -m pip install -q numpy pandas pytest mypy matplotlib
  }
  if [ ! -e "$base/installed" ] ||
     [ -n "$(find Cargo.toml src $package -type f ! -path '*/target/*' ! -path '*/tests/*' ! -path '*/__pycache__/*' -newer "$base/installed" | head -n 1)" ]; then
    touch "$base/installing"
    "$base/venv/bin/python" -m pip install -q --force-reinstall --no-deps ./$package
    mv "$base/installing" "$base/installed"
  fi
}

tests() { # [COMMAND...] under which Python is to run
  venv
  # Independent readers of the tool's files.
  [ -d "$(echo "$base"/venv/lib/python3*/site-packages)/pyarrow" ] || "$base/venv/bin/python" -m pip install -q pandas pyarrow
  VILLAS_SHM_LIB=$(realpath "${LIB:-target/release}")
  export VILLAS_SHM_LIB
  (cd $package && "$@" "$base/venv/bin/python" -m pytest -q -p no:cacheprovider tests $ignored)
}

# The interpreter's own allocator would hide from valgrind what was freed.
extras() {
  tests/install-missing.sh valgrind
  venv
  "$base/venv/bin/python" -m pip install -q pandapower pyzmq iceoryx2
  ignored='' tests
  ignored='--ignore tests/test_types.py --ignore tests/test_documents.py' PYTHONMALLOC=malloc \
    tests valgrind -q --vgdb=no --fair-sched=try --error-exitcode=9 --suppressions=tests/valgrind.supp
  "$base/venv/bin/python" -m villas_shm.bench --lib "${LIB:-target/release}" --include include
}

# Zig links against an old C library, so that the wheel runs on every distribution of the last ten years.
wheel() {
  [ -x "$base/tools/bin/maturin" ] || {
    new_venv "$base/tools"
    "$base/tools/bin/python" -m pip install -q maturin ziglang
  }
  rm -rf "$base/wheels"
  PATH="$base/tools/bin:$PATH" maturin build -q --release --zig --compatibility manylinux_2_28 -m $package/Cargo.toml -o "$base/wheels"
  ls "$base/wheels"
  new_venv "$base/plain"
  "$base/plain/bin/python" -m pip install -q numpy
  # Without cargo and a compiler: nothing of this is on the path.
  env -i PATH="$base/plain/bin" HOME="$base" pip install -q --no-index --no-deps "$base"/wheels/*.whl
  env -i PATH="$base/plain/bin" python - <<'EOF'
import os, villas_shm as vs
name = f"wheel-{os.getpid()}"
with vs.create(name) as node, vs.open(name) as program:
    node.write([1.5, 2.5])
    assert program.read().tolist() == [1.5, 2.5]
vs.unlink(name)
print(f"the wheel of villas_shm {vs.__version__} works in a fresh venv without cargo")
EOF
}

case ${1:-} in
  venv) venv ;;
  test) ignored='' tests ;;
  extras) extras ;;
  wheel) wheel ;;
  *) sed -n '2,7s/^# //p' "$0" >&2; exit 2 ;;
esac
