"""The config of a study: its schema, what it means, what is wrong with it, its table of keys.

``schema.yaml`` has every key with its type, bounds, default and meaning, but for the options of a
source of data, which lie beside the source's module (:mod:`degu.ingest`). The checks, the defaults
and the table in ``config/README.md`` (``python -m degu.study.config config/README.md``) come from
them.
"""

from degu.study.config.files import refuse_duplicate_keys
from degu.study.config.meaning import display_name
from degu.study.config.validate import validate

__all__ = ["display_name", "refuse_duplicate_keys", "validate"]
