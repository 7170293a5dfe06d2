"""The one data format of the project, ``dataset.h5``, and what students learn from.

:mod:`degu.dataset.files` has the format, :mod:`degu.dataset.distillation` the file of students.
"""

from degu.dataset.files import (
    FIELDS,
    SCHEMA_VERSION,
    DatasetInfo,
    Split,
    read_info,
    read_split,
    read_subset,
    write_dataset,
)
from degu.sweep import SPLITS

__all__ = [
    "FIELDS",
    "SCHEMA_VERSION",
    "SPLITS",
    "DatasetInfo",
    "Split",
    "read_info",
    "read_split",
    "read_subset",
    "write_dataset",
]
