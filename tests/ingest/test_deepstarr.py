"""The published DeepSTARR table, in files of its format."""

from __future__ import annotations

import gzip
import hashlib
import random
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from degu.dataset import read_info, read_split
from degu.errors import InputError
from degu.ingest.deepstarr import ingest, preflight

HEADER = [
    "seqnames",
    "start",
    "end",
    "ID",
    "set",
    "Sequence",
    "Dev_log2_enrichment",
    "Hk_log2_enrichment",
]
COMPLEMENT = str.maketrans("ACGTN", "TGCAN")
SPLITS = ["Train", "Train", "Val", "Test", "Train", "Val"]
URL = "https://data.starklab.org/almeida/DeepSTARR/Tutorial/Sequences_activity_all.txt"

Row = list[str]


def make_rows() -> list[Row]:
    """Both strands of six windows; row k has activities k + 0.25 (Dev) and -k - 0.5 (Hk)."""
    draw = random.Random(3)
    rows: list[Row] = []
    for i, split in enumerate(SPLITS):
        start = 1000 * i + 1
        end = start + 248
        sequence = "".join(draw.choices("ACGT", k=249))
        if i == 2:
            sequence = sequence[:10] + "NN" + sequence[12:]
        strands = {"+": sequence, "-": sequence.translate(COMPLEMENT)[::-1]}
        for strand, text in strands.items():
            k = len(rows)
            label = f"chr2L_{start}_{end}_{strand}_wtseq"
            values = [str(k + 0.25), str(-k - 0.5)]
            rows.append(["chr2L", str(start), str(end), label, split, text, *values])
    return rows


def write(path: Path, rows: list[Row], header: list[str] = HEADER) -> Path:
    text = "".join("\t".join(fields) + "\n" for fields in [header, *rows])
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def config(path: Path | None, **changes: Any) -> dict[str, Any]:
    return {
        "source": "deepstarr",
        "path": None if path is None else str(path),
        "url": URL,
        "sha256": None,
        "release": "custom",
    } | changes


def refusal(tmp_path: Path, rows: list[Row], **changes: Any) -> str:
    """What ingest says of a file with these rows; nothing may be left behind."""
    source = write(tmp_path / "activity.txt", rows)
    with pytest.raises(InputError) as caught:
        ingest(config(source, **changes), ["Dev", "Hk"], tmp_path / "out" / "dataset.h5", 1)
    assert not list((tmp_path / "out").glob("**/*"))
    message = str(caught.value)
    assert str(source) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["activity.txt", "activity.txt.gz"])
def test_content(tmp_path: Path, name: str) -> None:
    rows = make_rows()
    source = write(tmp_path / name, rows)
    path = tmp_path / "dataset.h5"
    preflight(config(source), ["Dev", "Hk"])
    ingest(config(source), ["Dev", "Hk"], path, 1)

    info = read_info(path)
    assert info.targets == ("Dev", "Hk")
    assert info.units == "log2 enrichment"
    assert info.sizes == {"Train": 6, "Val": 4, "Test": 2}
    assert info.input_shape == (249, 4)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert digest in info.source
    assert name in info.source

    for split in ("Train", "Val", "Test"):
        kept = [k for k, row in enumerate(rows) if row[4] == split]
        with h5py.File(path) as file:
            assert list(file[split]["id"].asstr()) == [rows[k][3] for k in kept]
            x, y = file[split]["X"][:], file[split]["y"][:]
            assert "y_std" not in file[split]
        assert x.dtype == np.uint8
        assert y.dtype == np.float32
        np.testing.assert_array_equal(y, [[k + 0.25, -k - 0.5] for k in kept])
        expected = [[[base == letter for letter in "ACGT"] for base in rows[k][5]] for k in kept]
        np.testing.assert_array_equal(x, np.array(expected))
    # N is a zero row, on the other strand mirrored.
    val = read_split(path, "Val").x
    np.testing.assert_array_equal(np.flatnonzero(val[0].sum(axis=1) == 0), [10, 11])
    np.testing.assert_array_equal(np.flatnonzero(val[1].sum(axis=1) == 0), [237, 238])


@pytest.mark.parametrize("targets", [["Dev"], ["Hk"], ["Hk", "Dev"]])
def test_targets_in_any_order(tmp_path: Path, targets: list[str]) -> None:
    source = write(tmp_path / "activity.txt", make_rows())
    preflight(config(source), targets)
    ingest(config(source), targets, tmp_path / "dataset.h5", 1)
    assert read_info(tmp_path / "dataset.h5").targets == tuple(targets)
    first = {"Dev": 0.25, "Hk": -0.5}
    y = read_split(tmp_path / "dataset.h5", "Train").y
    np.testing.assert_array_equal(y[0], [first[target] for target in targets])


def test_columns_by_name_and_others_ignored(tmp_path: Path) -> None:
    order = [7, 3, 0, 5, 1, 6, 2, 4]
    header = ["strand", *(HEADER[i] for i in order)]
    rows = [["*", *(row[i] for i in order)] for row in make_rows()]
    plain = write(tmp_path / "plain.txt", make_rows())
    mixed = write(tmp_path / "mixed.txt", rows, header)
    for source in (plain, mixed):
        ingest(config(source), ["Dev", "Hk"], source.with_suffix(".h5"), 1)
    digests = {read_info(source.with_suffix(".h5")).sha256 for source in (plain, mixed)}
    assert len(digests) == 1


def test_an_unneeded_target_may_be_absent(tmp_path: Path) -> None:
    source = write(tmp_path / "activity.txt", [row[:7] for row in make_rows()], HEADER[:7])
    preflight(config(source), ["Dev"])
    ingest(config(source), ["Dev"], tmp_path / "dataset.h5", 1)
    with pytest.raises(InputError, match="lacks the columns Hk_log2_enrichment of"):
        preflight(config(source), ["Dev", "Hk"])


@pytest.mark.parametrize("release", ["all", "subset"])
def test_counts_of_a_release(tmp_path: Path, release: str) -> None:
    message = refusal(tmp_path, make_rows(), release=release)
    claimed = {"all": "402,296", "subset": "50,000"}[release]
    assert f"has 6 sequences in Train, where data.release: {release} has {claimed};" in message
    assert "download the file again" in message
    assert "data.release: custom" in message


def test_counts_come_before_an_empty_split(tmp_path: Path) -> None:
    rows = [row for row in make_rows() if row[4] == "Train"]
    assert "402,296" in refusal(tmp_path, rows, release="all")
    assert "the split Val" in refusal(tmp_path, rows)


def test_digest(tmp_path: Path) -> None:
    source = write(tmp_path / "activity.txt", make_rows())
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    ingest(config(source, sha256=digest.upper()), ["Dev"], tmp_path / "dataset.h5", 1)
    message = refusal(tmp_path, make_rows(), sha256="0" * 64)
    assert f"SHA-256 {digest}, but data.sha256 is {'0' * 64};" in message


def test_window_in_two_splits(tmp_path: Path) -> None:
    rows = make_rows()
    rows[5][4] = "Test"
    message = refusal(tmp_path, rows)
    assert "line 7, column 'set': the window chr2L 2001 2249 is in Test" in message
    assert "in Val at line 6" in message


def test_same_coordinates_on_two_chromosomes_are_two_windows(tmp_path: Path) -> None:
    rows = make_rows()
    for row in rows[4:6]:
        row[:3] = ["chr3R", *rows[0][1:3]]
    source = write(tmp_path / "activity.txt", rows)
    ingest(config(source), ["Dev"], tmp_path / "dataset.h5", 1)
    assert read_info(tmp_path / "dataset.h5").sizes["Val"] == 4


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        (4, "holdout", "line 5, column 'set': 'holdout'"),
        (5, "ACGT", "line 5, column 'Sequence': the sequence has 4 bases"),
        (5, "X" * 249, "line 5, column 'Sequence': the sequence has 'X' at position 1"),
        (6, "", "line 5, column 'Dev_log2_enrichment': there is no value"),
        (7, "high", "line 5, column 'Hk_log2_enrichment': 'high'"),
        (3, "", "line 5, column 'ID'"),
    ],
)
def test_bad_cells(tmp_path: Path, column: int, value: str, said: str) -> None:
    rows = make_rows()
    rows[3][column] = value
    assert said in refusal(tmp_path, rows)


def test_file_cut_within_a_row(tmp_path: Path) -> None:
    rows = make_rows()
    assert "line 13: there are 6 fields" in refusal(tmp_path, [*rows[:-1], rows[-1][:6]])


def test_truncated_gzip(tmp_path: Path) -> None:
    source = write(tmp_path / "activity.txt.gz", make_rows())
    source.write_bytes(source.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"activity\.txt\.gz is a damaged or truncated gzip"):
        ingest(config(source), ["Dev"], tmp_path / "dataset.h5", 1)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("name", HEADER)
def test_missing_column(tmp_path: Path, name: str) -> None:
    header = ["other" if column == name else column for column in HEADER]
    source = write(tmp_path / "activity.txt", make_rows(), header)
    for check in (
        lambda: preflight(config(source), ["Dev", "Hk"]),
        lambda: ingest(config(source), ["Dev", "Hk"], tmp_path / "dataset.h5", 1),
    ):
        with pytest.raises(InputError, match=f"lacks the columns {name} of .*data.source: table"):
            check()


@pytest.mark.parametrize("targets", [["dev"], ["Dev", "leaf"], ["Dev_log2_enrichment"]])
def test_unknown_target(tmp_path: Path, targets: list[str]) -> None:
    source = write(tmp_path / "activity.txt", make_rows())
    with pytest.raises(InputError, match=f"targets: .*{targets[-1]}.* choose from Dev, Hk"):
        preflight(config(source), targets)


def test_preflight_of_options(tmp_path: Path) -> None:
    preflight(config(None), ["Dev", "Hk"])
    with pytest.raises(InputError, match=r"data\.url is 'ftp://"):
        preflight(config(None, url="ftp://data.starklab.org/x"), ["Dev"])
    with pytest.raises(InputError, match=r"data\.sha256 is 'abc'"):
        preflight(config(None, sha256="abc"), ["Dev"])
    with pytest.raises(InputError, match=r"data\.path: .*absent\.txt does not exist"):
        preflight(config(tmp_path / "absent.txt"), ["Dev"])
