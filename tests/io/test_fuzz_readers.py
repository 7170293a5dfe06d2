"""Damaged files of every format that the project reads: read right, or refused in one sentence.

Small valid files are made once, and mutated in memory: flipped bits, zeroed, cut, repeated and
swapped stretches, inserted bytes, for text also exchanged words. What a reader then returns must
equal what the whole file holds, wherever the format tells (HDF5 and ``.npy`` files of the project
end in a SHA-256); where it does not (a digit of somebody's table), it must be a valid value.
``DEGU_FUZZ=100 pytest tests/io/test_fuzz_readers.py -s`` makes 100 times as many files.
"""

import gzip
import json
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py
import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import pysam
import pytest
import yaml
from conftest import ROOT, write_small_dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from degu.attribution.maps import HeadMaps, read_maps, write_maps
from degu.attribution.selection import read_sequences, write_sequences
from degu.dataset import SPLITS, read_info, read_split, read_subset
from degu.dataset.distillation import read_lessons, write_distillation
from degu.errors import DeguError
from degu.genomics.files import read_sequences as read_letters
from degu.genomics.genome import Genome
from degu.heads import Heads
from degu.ingest import deepstarr, hdf5, table
from degu.io.card import Card
from degu.io.files import read_npy, write_csv, write_npy
from degu.io.predictions import read_predictions, write_predictions
from degu.io.summary import performance_rows, tidy, tidy_rows
from degu.metrics import performance_table
from degu.models.files import load_model, save_model
from degu.predict.journal import Journal, read_part
from degu.shift.sequences import read_shift, read_shift_info, write_shift
from degu.study.config.files import refuse_duplicate_keys
from degu.study.config.validate import validate
from degu.training.history import read_history, save_history

FILES = 40
"""Mutated files of each format in a run of the tests; a model, which is slow to load, has fewer."""
TIMES = int(os.environ.get("DEGU_FUZZ", "1"))

TARGETS = ("Dev", "Hk")
TABLE = {
    "source": "table",
    "sequence_column": "sequence",
    "id_column": "id",
    "split_column": "split",
    "split": None,
    "replicates": None,
    "units": "log2",
}

COLUMNS = pa.schema([("id", pa.string()), ("Dev", pa.float32())], metadata={"degu": "{}"})

Read = Callable[[Path], object]


class Format(NamedTuple):
    """A valid file, how it is read, and whether it tells every change of its content."""

    path: Path
    read: Read
    sealed: bool = True
    share: float = 1.0


# Valid files


@pytest.fixture(scope="module")
def formats(tmp_path_factory) -> dict[str, Format]:
    folder = tmp_path_factory.mktemp("fuzz")
    dataset = folder / "dataset.h5"
    splits = write_small_dataset(dataset, sizes=(24, 8, 10), length=12)
    info = read_info(dataset)
    rng = np.random.default_rng(0)
    formats = {"dataset": Format(dataset, lambda path: (read_info(path), *read_splits(path)))}

    def draw(n: int, columns: int) -> np.ndarray:
        return rng.normal(size=(n, columns)).astype(np.float32)

    card = Card(
        role="teacher",
        augmentation="standard",
        proportion=1.0,
        size=None,
        member=1,
        heads=Heads(TARGETS),
        architecture="deepstarr",
        seed=7,
        dataset_sha256=info.sha256,
    )
    path = folder / "predictions.h5"
    write_predictions(path, {name: draw(info.sizes[name], 2) for name in SPLITS}, card)
    formats["predictions"] = Format(path, read_predictions)

    path = folder / "distillation.h5"
    std = {name: abs(draw(info.sizes[name], 2)) for name in SPLITS}
    write_distillation(
        path,
        dataset=dataset,
        rows=np.arange(24),
        mean_train=draw(24, 2),
        std=std,
        size=2,
    )
    formats["distillation"] = Format(path, lambda path: read_lessons(path, "std", info.sha256))

    path = folder / "shift.h5"
    shifts = {"kinds": ["small", "large"], "copies": 2, "mutagenesis": 0.1}
    write_shift(path, dataset, settings=shifts, evoaug=None, seed=1)
    formats["shift"] = Format(
        path, lambda path: (read_shift_info(path), *(read_shift(path, k) for k in shifts["kinds"]))
    )

    path = folder / "attribution_sequences.h5"
    write_sequences(path, dataset, top_n=4, bins=2, per_bin=2, seed=1)
    chosen = read_sequences(path)
    formats["sequences"] = Format(path, read_sequences)

    path = folder / "1_saliency.h5"
    maps = {
        target: {"mean": HeadMaps(rng.normal(size=s.x.shape), rng.normal(size=len(s)))}
        for target, s in chosen.targets.items()
    }
    write_maps(path, maps, card, method="saliency", sequences_sha256=chosen.sha256)
    formats["maps"] = Format(path, read_maps)

    path = folder / "1_DeepSTARR.h5"
    inputs = keras.Input((12, 4))
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(inputs))
    save_model(keras.Model(inputs, outputs), path, card)
    formats["model"] = Format(path, read_weights, share=0.4)

    path = folder / "subset.npy"
    write_npy(np.arange(0, 24, 2), path, content="subset", proportion=0.5)
    formats["subset"] = Format(path, lambda path: read_subset(path, dataset, proportion=0.5))
    output = Journal(folder / "out.tsv", COLUMNS)
    output.folder.mkdir()
    output.add(pa.table([["a", "b"], np.float32([0.5, 1])], schema=COLUMNS))
    path = output.folder / "000000.arrow"
    formats["journal"] = Format(path, lambda path: read_part(path, COLUMNS).to_pydict())
    path = folder / "ensemble_std_test.npy"
    write_npy(std["Test"], path, content="std of Test")
    formats["npy"] = Format(path, lambda path: read_npy(path, shape=(10, 2), dtype_kind="f"))

    # Without a seal: somebody's own files.
    for name in ("dataset", "predictions", "distillation", "shift", "maps", "model"):
        path = folder / f"unsealed_{name}.h5"
        shutil.copy(formats[name].path, path)
        with h5py.File(path, "r+"):
            pass
        formats[f"{name}, unsealed"] = formats[name]._replace(path=path, sealed=False)
    path = folder / "unsealed.npy"
    np.save(path, std["Test"])
    formats["npy, unsealed"] = formats["npy"]._replace(path=path, sealed=False)

    path = folder / "1_performance.csv"
    write_csv(performance_table(splits["Test"].y, draw(10, 2), Heads(TARGETS)), path)
    formats["performance"] = Format(path, lambda path: performance_rows(path, TARGETS, {}), False)
    path = folder / "1_history.csv"
    save_history({"loss": [1.0, 0.5], "val_loss": [1.0, 0.75]}, path)
    formats["history"] = Format(path, read_history, False)
    path = folder / "summary.csv"
    row = {"role": "teacher", "member": 1, "target": "Dev", "head": "mean", "metric": "MSE"}
    write_csv(tidy([{**row, "value": 0.25}, {**row, "value": 0.5}]), path)
    formats["summary"] = Format(path, tidy_rows, False)

    for name, text in tables(splits).items():
        path = folder / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
        source = deepstarr if name.startswith("deepstarr") else table
        formats[name] = Format(path, ingested(source, folder), False)
    for layout, keys in {
        "groups": ("{split}/X", "{split}/y"),
        "flat": ("X_{split}", "y_{split}"),
        "lower": ("x_{lower}", "y_{lower}"),
    }.items():
        path = folder / f"paper_{layout}.h5"
        with h5py.File(path, "w") as file:
            for split, values in splits.items():
                x, y = (key.format(split=split, lower=split.lower()) for key in keys)
                file[x], file[y] = values.x, values.y.T if layout == "lower" else values.y
        formats[f"HDF5, {layout}"] = Format(path, ingested(hdf5, folder), False)

    formats |= letters(splits, folder)

    path = folder / "config.yaml"
    path.write_text((ROOT / "config/plant_terminators.yaml").read_text())
    formats["config"] = Format(path, read_config, False)
    return formats


def tables(splits) -> dict[str, str]:
    """The same sequences as a table of one's own, and as the published one is laid out."""
    own, published = ["id,sequence,split,Dev,Hk"], []
    columns = ("seqnames", "start", "end", "ID", "set", "Sequence", *deepstarr.TARGETS.values())
    published.append("\t".join(columns))
    for split, values in splits.items():
        for i, (x, y) in enumerate(zip(values.x, values.y, strict=True)):
            sequence = "".join("ACGT"[base] for base in x.argmax(axis=1))
            own.append(f"{split}{i},{sequence},{split.lower()},{y[0]},{y[1]}")
            window = ("chr2L", f"{i * 100}{len(split)}", f"{i * 100 + 12}")
            fields = (*window, f"{split}{i}", split, sequence, *map(str, y))
            published.append("\t".join(fields))
    own_text, published_text = ("\n".join(lines) + "\n" for lines in (own, published))
    return {
        "table.csv": own_text,
        "table.tsv.gz": own_text.replace(",", "\t"),
        "deepstarr.tsv": published_text,
        "deepstarr.tsv.gz": published_text,
    }


def letters(splits, folder: Path) -> dict[str, Format]:
    """The same sequences as they come to the commands: FASTA, a table, a BED of a genome."""
    own = ["".join("ACGT"[i] for i in x.argmax(axis=1)) for s in splits.values() for x in s.x]
    genome = folder / "genome.fa"
    genome.write_text("".join(f">chr{i}\n{own[i]}\n{own[i + 1]}\n" for i in range(4)))
    Genome(genome).close()
    contents = {
        "letters.fa": "".join(f">s{i} of a test\n{s[:7]}\n{s[7:]}\n" for i, s in enumerate(own)),
        "letters.tsv": "id\tsequence\n" + "".join(f"s{i}\t{s}\n" for i, s in enumerate(own)),
        "peaks.bed": "".join(f"{i % 4}\t{i}\t{i + 3}\tx\t0\t-\n" for i in range(12)),
        "peaks.narrowPeak": "chr1\t5\t9\tx\t0\t.\t1.5\t-1\t-1\t2\n" * 12,
    }
    formats = {}
    for name, text in contents.items():
        options = {}
        if name.startswith("peaks"):
            options = {"genome": genome, "beyond": "pad"}
        if name == "peaks.narrowPeak":
            options |= {"summit": True, "length": 6}

        def read(path: Path, options=options) -> object:
            return list(read_letters(path, 5, **options))

        path = folder / name
        path.write_text(text)
        formats[name] = Format(path, read, False)
    for name, packed in (
        ("letters.fa.gz", gzip.compress(contents["letters.fa"].encode())),
        ("letters.bgz", bgzipped(contents["letters.fa"], folder)),
    ):
        path = folder / name
        path.write_bytes(packed)
        formats[name] = Format(path, formats["letters.fa"].read, False)

    # The genome itself, and its index beside a genome that is whole.
    formats["genome.fa"] = Format(genome, read_genome, False)
    packed = folder / "genome.bgz"
    packed.write_bytes(bgzipped(genome.read_text(), folder))
    formats["genome.bgz"] = Format(packed, read_genome, False)
    for index in (genome.with_suffix(".fa.fai"), Path(f"{packed}.fai"), Path(f"{packed}.gzi")):
        Genome(packed).close()
        formats[index.name] = Format(index, read_by_index, True)
    return formats


def bgzipped(text: str, folder: Path) -> bytes:
    path = folder / "packed"
    with pysam.BGZFile(str(path), "wb") as stream:
        stream.write(text.encode())
    return path.read_bytes()


# Readers


def read_genome(path: Path) -> object:
    with Genome(path) as genome:
        lengths = dict(genome.lengths)
        assert len(lengths) < 1000
        return lengths, [genome.fetch(name, -2, min(n, 999) + 2) for name, n in lengths.items()]


def read_by_index(path: Path) -> object:
    """A genome beside which the index is; what is wrong with the index is made good."""
    name, ending = path.name.rpartition("-")[2].rsplit(".", 1)
    genome = path.parent / f"of-{path.name}.{name}"
    shutil.copy(path.parent / name, genome)
    for suffix in (".fai", ".gzi"):
        whole = path.parent / f"{name}{suffix}"
        if whole.exists():
            source = path if suffix == f".{ending}" else whole
            shutil.copyfile(source, f"{genome}{suffix}")
    return read_genome(genome)


def read_splits(path: Path) -> list:
    return [read_split(path, name, fields=("x", "y", "y_std", "id")) for name in SPLITS]


def read_weights(path: Path) -> object:
    model, card = load_model(path)
    return model.get_weights(), card


def read_config(path: Path) -> object:
    """As Snakemake and the workflow read it; what Snakemake itself refuses is not ours."""
    refuse_duplicate_keys([path])
    config = yaml.safe_load(path.read_text())
    return validate(config) if isinstance(config, dict) else None


def ingested(source, folder: Path) -> Read:
    out = folder / "ingested.h5"

    def read(path: Path) -> object:
        data = {**TABLE, "path": str(path), "release": "custom", "sha256": None, "url": None}
        out.unlink(missing_ok=True)
        try:
            source.preflight(data, TARGETS)
            source.ingest(data, TARGETS, out, 1)
        except DeguError:
            assert not out.exists()
            raise
        return read_splits(out)

    return read


# Mutations


def mutate(content: bytes, rng: random.Random, text: bool) -> bytes:
    """One to three random changes."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        content = rng.choice(TEXT_CHANGES if text else CHANGES)(content, rng)
    return content


def stretch(content: bytes, rng: random.Random) -> slice:
    start = rng.randrange(len(content) + 1)
    return slice(start, start + int(rng.choice((1, 8, 64, 512, 4096)) * rng.random()) + 1)


def flip(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 4, 32))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def cut_end(content: bytes, rng: random.Random) -> bytes:
    return content[: max(0, len(content) - rng.randrange(1, 200))]


def zero(content: bytes, rng: random.Random) -> bytes:
    where = stretch(content, rng)
    return content[: where.start] + bytes(len(content[where])) + content[where.stop :]


def insert(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    return content[:start] + rng.randbytes(rng.choice((1, 2, 16, 300))) + content[start:]


def drop(content: bytes, rng: random.Random) -> bytes:
    where = stretch(content, rng)
    return content[: where.start] + content[where.stop :]


def repeat(content: bytes, rng: random.Random) -> bytes:
    where = stretch(content, rng)
    return content[: where.stop] + content[where.start :]


def swap(content: bytes, rng: random.Random) -> bytes:
    size = min(rng.choice((4, 32, 256, 1024)), len(content) // 2)
    a, b = sorted(rng.randrange(len(content) - size + 1) for _ in range(2)) if size else (0, 0)
    if b - a < size:
        return content
    first, second = content[a : a + size], content[b : b + size]
    return content[:a] + second + content[a + size : b] + first + content[b + size :]


def words(content: bytes, rng: random.Random) -> bytes:
    """Exchange a word for another of the file, or for one that readers may stumble over."""
    for separator in (b"\t", b",", b" "):
        if separator in content:
            break
    parts = content.split(separator)
    odd = (
        b"",
        b"nan",
        b"inf",
        b"-1",
        b"1e400",
        b'"',
        b"null",
        b"\xff",
        b"\0",
        b"&a [*a]",
        b"{",
        b"9" * 5000,
    )
    parts[rng.randrange(len(parts))] = rng.choice((*odd, rng.choice(parts)))
    return separator.join(parts)


def lines(content: bytes, rng: random.Random) -> bytes:
    """Drop, repeat or move a line."""
    parts = content.split(b"\n")
    line = parts.pop(rng.randrange(len(parts)))
    for _ in range(rng.randrange(3)):
        parts.insert(rng.randrange(len(parts) + 1), line)
    return b"\n".join(parts)


TEXTS = {".csv", ".tsv", ".yaml", ".fa", ".bed", ".narrowPeak", ".fai"}
CHANGES = (flip, flip, cut, cut_end, zero, insert, drop, repeat, swap)
TEXT_CHANGES = (*CHANGES, words, words, words, lines, lines)


# Comparison


def same(a: object, b: object) -> bool:
    """Whether two readers' results are equal, arrays and tables within them."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, pd.DataFrame):
        return isinstance(b, pd.DataFrame) and a.equals(b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if hasattr(a, "__dict__") and not isinstance(a, type):
        return type(a) is type(b) and same(vars(a), vars(b))
    return a == b


NAMES = (
    *("dataset", "predictions", "distillation", "shift", "sequences", "maps", "model"),
    *("subset", "npy", "journal"),
    *("dataset, unsealed", "predictions, unsealed", "distillation, unsealed"),
    *("shift, unsealed", "maps, unsealed", "model, unsealed", "npy, unsealed"),
    *("performance", "history", "summary"),
    *("table.csv", "table.tsv.gz", "deepstarr.tsv", "deepstarr.tsv.gz"),
    *("HDF5, groups", "HDF5, flat", "HDF5, lower", "config"),
    *("letters.fa", "letters.fa.gz", "letters.bgz", "letters.tsv"),
    *("peaks.bed", "peaks.narrowPeak"),
    *("genome.fa", "genome.bgz", "genome.fa.fai", "genome.bgz.fai", "genome.bgz.gzi"),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_read_right_or_refused(formats, name, monkeypatch):
    monkeypatch.setattr("degu.io.hdf5.WALK_SECONDS", 1)
    kind = formats[name]
    whole, content = kind.read(kind.path), kind.path.read_bytes()
    text = kind.path.suffix in TEXTS
    counts: Counter[str] = Counter()

    @settings(
        max_examples=max(1, int(FILES * kind.share)) * TIMES,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**63))
    def check(seed: int) -> None:
        mutated = mutate(content, random.Random(seed), text)
        # Beside the whole file, where its links lead to; never the same name twice.
        with tempfile.NamedTemporaryFile(
            dir=kind.path.parent, prefix=f"{sum(counts.values())}-", suffix=f"-{kind.path.name}"
        ) as file:
            file.write(mutated)
            file.flush()
            try:
                got = kind.read(Path(file.name))
            except DeguError as error:
                counts["refused"] += 1
                sentence = str(error)
            else:
                sentence = ""
        assert "\n" not in sentence
        if sentence:
            return
        if same(got, whole):
            counts["read right"] += 1
        else:
            counts["another valid content"] += 1
            # What ends exactly where its array ends, somebody may have written without a seal.
            cut_off = kind.path.suffix == ".npy" and b"#degu" not in mutated
            assert cut_off or not kind.sealed, "changed content was taken for what was written"

    check()
    print(f"\n{name}: {sum(counts.values())} files, {json.dumps(counts)}")
