"""Files that the tool writes, read by implementations that know nothing of it, and the reverse."""

import csv
import io
import json
import os
import pathlib
import subprocess

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

TOOL = pathlib.Path(os.environ.get("VILLAS_SHM_LIB", "target/release")) / "villas-shm"

# A time of reception, doubles of all digits, all types, a short sample, and one without a number.
TEXT = """\
# seconds.nanoseconds+offset(sequence)\tu[V]\tn\ton\tz
1700000000.123456789+0.000012345(1000)F\t0.1\t-9223372036854775808\t1\t1.5-2.5i
1700000001.000000001(18446744073709551615)\t-1e-300\t9007199254740993\t0\t0.1+0i
1700000002.000000000(7)\tnan
1700000003.500000000\tinf\t5\t1\t3+4i
"""
TYPES = "fibc"


def converted(source: str | bytes, to: str, of: str = "villas.human", types: str = TYPES) -> bytes:
    command = [TOOL, "convert", "-t", types, "--input-format", of, "--output-format", to]
    raw = source.encode() if isinstance(source, str) else source
    result = subprocess.run(command, input=raw, capture_output=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_pyarrow_reads_times_types_units_and_nulls() -> None:
    with pa.ipc.open_stream(converted(TEXT, "arrow")) as stream:
        table = stream.read_all()
    table.validate(full=True)
    assert table.column_names == ["time", "received", "sequence", "new_frame", "u", "n", "on", "z"]
    assert table.schema.field("time").type == pa.timestamp("ns", "UTC")
    times = [1700000000123456789, 1700000001000000001, 1700000002000000000, 1700000003500000000]
    assert table["time"].cast(pa.int64()).to_pylist() == times
    assert table["received"].cast(pa.int64()).to_pylist() == [times[0] + 12345, None, None, None]
    assert table["sequence"].to_pylist() == [1000, 2**64 - 1, 7, None]
    assert table["new_frame"].to_pylist() == [True, False, False, False]
    u = table["u"].to_numpy()
    assert u[0] == 0.1 and u[1] == -1e-300 and np.isnan(u[2]) and u[3] == np.inf
    assert table["u"].null_count == 0
    assert table["n"].to_pylist() == [-(2**63), 9007199254740993, None, 5]
    assert table["on"].to_pylist() == [True, False, None, True]
    assert table["z"].to_pylist()[0] == {"real": 1.5, "imag": -2.5}
    assert table["z"].to_pylist()[2] is None
    assert table.schema.field("u").metadata == {b"unit": b"V", b"type": b"float"}
    assert table.schema.field("z").metadata == {b"unit": b"", b"type": b"complex"}


def test_pandas_reads_arrow_and_csv_alike() -> None:
    text = "".join(f"{number}.000000001({number})\t{number / 7!r}\t{-number}\n" for number in range(1000))
    with pa.ipc.open_stream(converted(text, "arrow", types="fi")) as stream:
        arrow = stream.read_pandas()
    for format, separator in (("csv", ","), ("tsv", "\t")):
        source = io.BytesIO(converted(text, format, types="fi"))
        frame = pd.read_csv(source, sep=separator, float_precision="round_trip")
        assert list(frame.columns) == ["# secs", "nsecs", "offset", "sequence", "signal0", "signal1"]
        assert (frame["signal0"] == arrow["signal0"]).all() and (frame["signal1"] == arrow["signal1"]).all()
        assert frame["offset"].isna().all() and (frame["nsecs"] == 1).all()
        assert (frame["sequence"].astype("uint64") == arrow["sequence"]).all()
    assert arrow["time"].iloc[-1] == pd.Timestamp(999 * 10**9 + 1, tz="UTC")


def test_pythons_csv_reads_names_that_must_be_quoted() -> None:
    text = '# seconds.nanoseconds(sequence)\ta, "b"[V]\tc\n1.0(1)\t0.1\t1e300\n'
    rows = list(csv.reader(io.StringIO(converted(text, "csv", types="ff").decode())))
    assert rows[0] == ["# secs", "nsecs", "offset", "sequence", 'a, "b"[V]', "c"]
    assert rows[1][:4] == ["1", "000000000", "nan", "1"]
    assert [float(cell) for cell in rows[1][4:]] == [0.1, 1e300]


def test_pythons_json_reads_every_line() -> None:
    lines = [json.loads(line) for line in converted(TEXT, "json").splitlines()]
    assert lines[0] == {
        "ts": {"origin": [1700000000, 123456789], "received": [1700000000, 123469134]},
        "sequence": 1000,
        "data": [0.1, -(2**63), True, {"real": 1.5, "imag": -2.5}],
    }
    assert lines[1]["sequence"] == 2**64 - 1 and lines[1]["data"][:2] == [-1e-300, 9007199254740993]
    assert lines[2]["data"] == [None]
    assert "sequence" not in lines[3] and lines[3]["data"][0] is None


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_stream_of_pyarrow_is_read(unit: str) -> None:
    table = pa.table(
        {
            "time": pa.array([1, 2, None], pa.timestamp(unit)),
            "sequence": pa.array([5, 6, 7], pa.int32()),
            "single": pa.array([0.5, None, 1.5], pa.float32()),
            "small": pa.array([1, -2, 3], pa.int8()),
            "flag": pa.array([True, False, None]),
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table, max_chunksize=2)
    lines = converted(sink.getvalue().to_pybytes(), "villas.human", of="arrow").decode().splitlines()
    nanos = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit]
    seconds, rest = divmod(nanos, 10**9)
    assert lines[0] == "# seconds.nanoseconds(sequence)\tsingle\tsmall\tflag"
    assert lines[1] == f"{seconds}.{rest:09}(5)\t0.5\t1\t1"
    # A null between values is a missing one, and one at the end is none.
    assert lines[2].endswith("(6)\tnan\t-2\t0") and lines[3] == "0.0(7)\t1.5\t3"


def test_columns_that_no_signal_has_are_named() -> None:
    sink = pa.BufferOutputStream()
    table = pa.table({"name": ["a"]})
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    command = [TOOL, "convert", "-f", "arrow"]
    result = subprocess.run(command, input=sink.getvalue().to_pybytes(), capture_output=True, timeout=60, check=False)
    assert result.returncode == 1
    assert b'column "name" is of the type Utf8, which no signal has' in result.stderr
