"""The programs of README.md and docs/python.md, and the examples, do what is said there."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import villas_shm as vs
from conftest import DEADLINE, eventually

ROOT = pathlib.Path(__file__).parents[3]
EXAMPLES = ROOT / "clients" / "python" / "examples"
WEEK = ROOT / "examples" / "grid-week.dat"


def block(which: str) -> str:
    """`NAME FILE`: the block of that name. tests/docs.py looks for these two words."""
    name, file = which.split()
    script = ROOT / "tests" / "block.sh"
    return subprocess.run([script, name, file], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def start(*command: "str | pathlib.Path") -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def said(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=3 * DEADLINE)
    assert process.returncode == 0, out + err
    return out


def renamed(code: str, name: str) -> str:
    for stated in ("doubler", "feeder", "volts", "board"):
        code = code.replace(f'"{stated}"', f'"{name}"')
    return code


@pytest.mark.parametrize(
    ("which", "factor"),
    [
        ("doubler.py README.md", 2),
        ("ten-lines docs/python.md", 2),
        ("asyncio docs/python.md", 1),
        ("view docs/python.md", 2),
    ],
)
def test_a_program_answers_its_node(name, which, factor):
    with vs.create(name, samplelen=8, write_signals=["v_a", "v_b"]) as node:
        program = start("-c", renamed(block(which), name))
        node.wait(timeout=DEADLINE)
        for number in range(50):
            node.write([number, 0.5], sequence=number)
        for number in range(50):
            answer = node.read(timeout=DEADLINE)
            assert (answer.sequence, answer.tolist()) == (number, [factor * number, factor * 0.5])
    said(program)


def test_the_node_of_the_page_gets_its_answer(name):
    program = start("-c", renamed(block("ten-lines docs/python.md"), name))
    imports = "import numpy as np\nimport villas_shm as vs\n"
    out = said(start("-c", imports + renamed(block("node docs/python.md"), name)))
    said(program)
    assert out.split() == ["650.0", "2026-01-02T03:04:05.000000000", "1"]


def test_the_program_of_records_answers_by_name(name):
    signals = [("p", "kW"), ("mode", "", "integer")]
    with vs.create(name, write_signals=signals, read_signals=["p_set", "q_set"]) as node:
        program = start("-c", renamed(block("records docs/python.md"), name))
        node.wait(timeout=DEADLINE)
        node.write({"p": 1.5, "mode": 3})
        assert node.read(timeout=DEADLINE).tolist() == [3.0, 0.0]
        assert said(program) == "[(3., 3)]\n"


@pytest.mark.parametrize(
    ("which", "printed"),
    [("ring docs/python.md", "(230-3j)\n10\n"), ("segment docs/python.md", "1 50.02\n")],
)
def test_a_program_of_its_own_prints(name, which, printed):
    assert said(start("-c", renamed(block(which), name))) == printed


def test_the_program_of_the_readme_runs_under_the_tool(name, tmp_path, built):
    program, conf = tmp_path / "doubler.py", tmp_path / "doubler.conf"
    program.write_text(renamed(block("doubler.py README.md"), name))
    conf.write_text(
        f'nodes = {{ it = {{ type = "shmem", name = "{name}", samplelen = 8, exec = [ "{sys.executable}", "{program}" ] }} }}'
    )
    done = subprocess.run(
        [built / "villas-shm", "pipe", conf, "it"], stdin=WEEK.open(), capture_output=True, text=True, timeout=3 * DEADLINE
    )
    assert done.returncode == 0, done.stderr
    rows = lambda text: np.array([line.split("\t")[1:] for line in text.splitlines() if line[0] != "#"], float)
    assert np.array_equal(rows(done.stdout), 2 * rows(WEEK.read_text()))


def test_the_controller_reaches_its_target(built, monkeypatch):
    monkeypatch.setenv("PATH", str(built), prepend=os.pathsep)
    out = said(start(EXAMPLES / "pi_controller.py", "1000"))
    assert out.startswith("1000 steps: 10.000 rad/s before the load, 9.") and out.endswith("10.000 at the end\n")


def test_the_plot_shows_all_signals(name, tmp_path):
    pytest.importorskip("matplotlib")
    png = tmp_path / "plot.png"
    signals = [("v_a", "V"), ("v_b", "V"), ("f", "Hz"), ("mode", "", "integer"), ("z", "V", "complex")]
    with vs.create(name, samplelen=5, write_signals=signals) as node:
        plot = start(EXAMPLES / "live_plot.py", name, "--png", png, "--samples", "200")
        batch = node.batch(200, write=True)
        seconds = np.arange(200) / 1000
        batch["v_a"], batch["v_b"], batch["f"] = np.cos(100 * seconds), np.sin(100 * seconds), 50
        batch["mode"], batch["z"] = np.arange(200) // 50, 2 + 1j * seconds
        batch.origin[:] = np.datetime64("2026-01-01") + (seconds * 1e9).astype("m8[ns]")
        assert node.write_from(batch, 200) == 200
        eventually(lambda: plot.poll() is not None)
    said(plot)
    from matplotlib import image

    pixels = image.imread(png)[:, :, :3]
    colours = {tuple(np.round(255 * pixel).astype(int)) for pixel in pixels.reshape(-1, 3)}
    assert {(31, 119, 180), (255, 127, 14)} <= colours  # the first two lines'


def test_the_power_flow_answers_each_step():
    pytest.importorskip("pandapower")
    out = said(start(EXAMPLES / "power_flow.py", WEEK, "24"))
    assert out.startswith("24 steps: bus voltages from 0.9")
