"""Tables of predictions, as TSV, Parquet or HDF5."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa

from degu.errors import InputError
from degu.io.files import atomic_path
from degu.io.hdf5 import create_hdf5
from degu.predict.predictor import Estimate

if TYPE_CHECKING:
    import h5py

FORMATS = {"tsv": (".tsv", ".txt"), "parquet": (".parquet", ".pq"), "hdf5": (".h5", ".hdf5")}
"""And the suffixes that stand for them."""


def format_of(output: str | os.PathLike[str] | None) -> str:
    """The format that a file's name stands for; TSV where it says nothing."""
    suffix = "" if output is None else Path(output).suffix
    return next((name for name, known in FORMATS.items() if suffix in known), "tsv")


@dataclass(frozen=True)
class Columns:
    """Columns of a table of predictions.

    Attributes:
        targets: of the models.
        levels: of the intervals.

    Raises:
        InputError: if two columns would have one name.
    """

    targets: tuple[str, ...]
    levels: tuple[float, ...]

    def __post_init__(self) -> None:
        names = self.names
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InputError(
                f"Of the targets {', '.join(self.targets)} two columns would be called {twice}; "
                "give the targets other names and make the models again."
            )

    @property
    def names(self) -> list[str]:
        """In order: ``id``, then mean, std and the ends of every interval of each target."""
        return ["id", *(f"{target}{ending}" for target in self.targets for ending in self._endings)]

    @property
    def _endings(self) -> list[str]:
        of = [""]
        if len(self.levels) > 1:
            percents = (f"{Decimal(str(level)) * 100:f}" for level in self.levels)
            of = [f"_{percent.rstrip('0').rstrip('.')}" for percent in percents]
        return ["", "_std", *(f"_{end}{name}" for name in of for end in ("lower", "upper"))]

    def schema(self, settings: dict[str, Any]) -> pa.Schema:
        """Types of the columns; ``settings`` are kept as JSON under ``degu``."""
        words = {"": "activity", "_std": "epistemic standard deviation"}
        fields = [pa.field("id", pa.string(), nullable=False)]
        for target in self.targets:
            for ending in self._endings:
                what = words.get(ending) or f"{ending[1:6]} end of an interval of a measurement"
                about = {"content": what, "units": f"units of {target} as the models learned it"}
                fields.append(pa.field(target + ending, pa.float32(), metadata=about))
        return pa.schema(fields, metadata={"degu": json.dumps(settings, sort_keys=True)})

    def table(self, ids: Sequence[str], found: Estimate, schema: pa.Schema) -> pa.Table:
        """Rows of sequences; a NaN in a mean, and whatever the models do not predict, is null."""
        missing = np.isnan(found.mean[:, 0])
        nothing = pa.nulls(len(ids), pa.float32())

        def column(values: np.ndarray) -> pa.Array:
            return pa.array(values.astype(np.float32), mask=missing)

        columns = [pa.array(ids, pa.string())]
        for t in range(len(self.targets)):
            columns.append(column(found.mean[:, t]))
            columns.append(nothing if found.std is None else column(found.std[:, t]))
            for level in self.levels:
                ends = found.intervals.get(level)
                columns += [nothing] * 2 if ends is None else [column(end[:, t]) for end in ends]
        return pa.table(columns, schema=schema)


Write = Callable[[pa.Table], Any]


@contextmanager
def into_file(form: str, path: Path, schema: pa.Schema) -> Iterator[Write]:
    """A function that writes one table after the other to a file, whole or not at all.

    Args:
        form: one of :data:`FORMATS`.
        path: of the file; a TSV whose name ends in ``.gz`` is gzipped.
        schema: of the tables.
    """
    if form == "hdf5":
        with create_hdf5(path) as file:
            yield _hdf5(file, schema)
        return
    with atomic_path(path) as temporary, open(temporary, "wb") as stream, ExitStack() as stack:
        to: Any = stream
        if form == "tsv" and path.suffix == ".gz":
            # Without its time and name, equal content is equal.
            to = stack.enter_context(gzip.GzipFile("", "wb", 6, stream, mtime=0))
        yield stack.enter_context(into_stream(form, to, schema))


@contextmanager
def into_stream(form: str, stream: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
    """Likewise to a stream, of any format but HDF5."""
    if form == "parquet":
        from pyarrow import parquet

        with parquet.ParquetWriter(stream, schema) as file:
            yield file.write_table
    else:
        stream.write(_joined([[name] for name in schema.names]))
        yield lambda table: stream.write(_tsv(table))


_TO_QUOTE = '["\t\r\n]'


def _tsv(table: pa.Table) -> Any:
    """Lines of a table; a missing value is empty."""
    from pyarrow import compute, csv

    ids = table.column(0).combine_chunks()
    if compute.any(compute.match_substring_regex(ids, _TO_QUOTE)).as_py():
        text = (compute.cast(column, pa.string()) for column in table.columns[1:])
        return _joined([ids.to_pylist(), *(column.to_pylist() for column in text)])
    sink = pa.BufferOutputStream()
    options = csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    csv.write_csv(table, sink, options)
    return sink.getvalue()


def _joined(columns: Sequence[Sequence[str | None]]) -> bytes:
    """Lines of columns of text; what must be is in double quotes, as in RFC 4180."""
    lines = zip(*columns, strict=True)
    return "".join("\t".join(map(_quoted, line)) + "\n" for line in lines).encode()


def _quoted(text: str | None) -> str:
    if text is None:
        return ""
    needs = any(letter in text for letter in '"\t\r\n')
    return '"' + text.replace('"', '""') + '"' if needs else text


def _hdf5(file: h5py.File, schema: pa.Schema) -> Write:
    """Columns as arrays of their names; a missing value is NaN."""
    import h5py

    odd = [name for name in schema.names if "/" in name or name == "."]
    if odd:
        raise InputError(f"HDF5 has no arrays named {odd[0]}; write TSV or Parquet.")
    arrays = []
    for key, value in schema.metadata.items():
        file.attrs[key.decode()] = value.decode()
    for column in schema:
        array = file.create_dataset(
            column.name,
            shape=(0,),
            maxshape=(None,),
            chunks=(1 << 14,),
            dtype=h5py.string_dtype() if column.name == "id" else np.float32,
            compression="gzip",
            compression_opts=1,
            track_times=False,
        )
        for key, value in (column.metadata or {}).items():
            array.attrs[key.decode()] = value.decode()
        arrays.append(array)

    def write(table: pa.Table) -> None:
        for array, column in zip(arrays, table.columns, strict=True):
            n = len(array)
            array.resize(n + len(column), axis=0)
            array[n:] = column.to_numpy()

    return write


def counted(tables: Iterable[pa.Table], counts: dict[str, int]) -> Iterator[pa.Table]:
    """The tables, counting ``rows``, those without values (``missing``), and ``infinite`` ends."""
    from pyarrow import compute

    counts |= dict.fromkeys(("rows", "missing", "infinite"), 0)
    for table in tables:
        counts["rows"] += len(table)
        counts["missing"] += table.column(1).null_count
        for column in table.columns[1:]:
            counts["infinite"] += compute.sum(compute.is_inf(column)).as_py() or 0
        yield table
