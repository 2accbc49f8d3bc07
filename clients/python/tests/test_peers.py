"""Peers of other languages: the C example client and the tool."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import villas_shm as vs
from conftest import DEADLINE

TYPES = [("f", "V"), ("i", "", "integer"), ("b", "", "boolean"), ("z", "", "complex")]


def test_the_c_client_gives_batches_back_bit_for_bit(name, built):
    with vs.create(name, samplelen=8, queuelen=256) as node:
        client = subprocess.Popen([built / "villas-shmem", "-w", "10", name, "64"])
        try:
            random = np.random.default_rng(1)
            out, back = node.batch(64, width=8), node.batch(64, width=8)
            for _ in range(50):
                out.values.view(np.uint64)[:] = random.integers(0, 2**64, (64, 8), np.uint64)
                out.length[:] = random.integers(0, 9, 64)
                out.sequence[:] = random.integers(0, 2**64, 64, np.uint64)
                out.origin[:] = random.integers(0, 2**62, 64).astype("M8[ns]")
                assert node.write_from(out, timeout=DEADLINE) == 64
                rows = 0
                while rows < 64:
                    n = node.read_into(back, DEADLINE)
                    sent = slice(rows, rows + n)
                    length = out.length[sent]
                    given = np.arange(8) < length[:, None]
                    assert (back.length[:n] == length).all()
                    bits = back.values.view(np.uint64)[:n]
                    assert (bits[given] == out.values.view(np.uint64)[sent][given]).all()
                    assert np.isnan(back.values[:n][~given]).all()
                    assert (back.sequence[:n] == out.sequence[sent]).all()
                    assert (back.origin[:n] == out.origin[sent]).all()
                    rows += n
            node.close()
            assert client.wait(DEADLINE) == 0
        finally:
            client.kill()
            client.wait()


def test_the_c_client_sees_the_names(name, built):
    with vs.create(name, write_signals=TYPES, read_signals=["back"]) as node:
        client = subprocess.Popen([built / "villas-shmem", "-v", "-w", "10", name], stdout=subprocess.PIPE, text=True)
        node.wait(DEADLINE)
        node.close()
        lines = client.communicate(timeout=DEADLINE)[0].splitlines()
        assert "reads value 0: f [V], float" in lines and "reads value 3: z, complex" in lines
        assert "writes value 0: back, float" in lines


PROGRAM = """
import sys, villas_shm as vs
with vs.open(sys.argv[1], 10) as ch:
    for smp in ch:
        smp[0] *= 2
        ch.write(smp)
"""


def test_a_program_under_the_tool_changes_one_value_and_no_other(name, built, tmp_path: pathlib.Path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    signals = [{"name": n, "unit": (u + [""])[0], "type": (u[1:] + ["float"])[0]} for n, *u in TYPES]
    node = {"type": "shmem", "name": name, "exec": [sys.executable, str(program), name]}
    node |= {"in": {"signals": signals}, "out": {"signals": signals}}
    (tmp_path / "node.json").write_text(json.dumps({"nodes": {"one": node}}))
    lines = "1.500000000+0.000000000(3)\t0.25\t9007199254740993\t0\t1+2i\n2.500000000(4)\t-1e300\t-1\t1\t0-1i\n"
    environment = os.environ | {"PATH": f"{built}:{os.environ['PATH']}"}
    done = subprocess.run(
        [built / "villas-shm", "pipe", str(tmp_path / "node.json"), "one"],
        input=lines, capture_output=True, text=True, timeout=DEADLINE, env=environment,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines() if not line.startswith("#")]
    assert [row[1:4] for row in rows] == [["0.5", "9007199254740993", "0"], ["-2e+300", "-1", "1"]], done.stdout
    assert [complex(row[4].replace("i", "j")) for row in rows] == [1 + 2j, -1j]
    assert rows[0][0].endswith("(3)") and rows[1][0].endswith("(4)")
