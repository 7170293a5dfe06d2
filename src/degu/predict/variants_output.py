"""Effects of variants as rows of a table, or in the INFO of the VCF that they came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from degu.genomics.vcf import Info, Variant, extended_header, extended_line, free_stems
from degu.predict.variants import Effects

PARTS = {
    "_ref": ("ref", "prediction of the reference"),
    "_alt": ("alt", "prediction of the alternative"),
    "_effect": ("effect", "alternative less reference"),
    "_effect_std": ("std", "epistemic standard deviation of the effect"),
    "_effect_lower": ("lower", "effect less z standard deviations"),
    "_effect_upper": ("upper", "effect plus z standard deviations"),
    "_excludes_0": ("excludes_0", "whether 0 lies outside of lower to upper"),
}
"""What follows a target's name: which field of :class:`Effects` it is, and what that means."""

_VARIANT = ("CHROM", "POS", "ID", "REF", "ALT")


def columns(targets: Sequence[str]) -> list[str]:
    """Names of the columns of a table, in order."""
    return [*_VARIANT, *(f"{target}{part}" for target in targets for part in PARTS), "status"]


def _cells(effects: Effects, missing: str) -> list[list[list[str]]]:
    """Text of each alternative, target and part, as of float32; ``missing`` for NaN."""
    given = [getattr(effects, name) for name, _ in PARTS.values()]
    nothing = np.full(effects.effect.shape, np.nan)
    values = np.stack([nothing if one is None else one for one in given], axis=2)
    # As `degu predict` writes it: the shortest text that reads back as the same float32.
    text = values.astype(np.float32).astype(str)
    text[..., -1] = np.where(values[..., -1] == 1, "1", "0")
    text[np.isnan(values)] = missing
    return text.tolist()


class TsvRows:
    """A table, tab-separated: a row an alternative, empty where there is no value.

    Attributes:
        header: the line of column names.
    """

    def __init__(self, targets: Sequence[str]) -> None:
        self.header = ("\t".join(columns(targets)) + "\n").encode()

    def of(self, variants: Sequence[Variant], effects: Effects) -> bytes:
        """Rows of a block."""
        names = (
            b"\t".join([*variant.fields[:4], alt]) for variant in variants for alt in variant.alts
        )
        lines = []
        for name, status, targets in zip(names, effects.status, _cells(effects, ""), strict=True):
            cells = "\t".join([*(cell for parts in targets for cell in parts), status])
            lines.append(b"%s\t%s\n" % (name, cells.encode()))
        return b"".join(lines)


class VcfRows:
    """The VCF with ``DEGU_*`` in its INFO: a value an alternative, ``.`` where there is none.

    Of models without an std, keys that need one are left out.

    Args:
        targets: names; characters that a key may not have become ``_``.
        header: lines of the VCF's own.
        contigs: of its records, with their lengths where known.
        has_std: whether there are stds.
        notes: about the prediction, for the header.

    Attributes:
        header: the whole header.
    """

    def __init__(
        self,
        targets: Sequence[str],
        header: Sequence[str],
        contigs: Mapping[str, int | None],
        has_std: bool,
        notes: Mapping[str, object],
    ) -> None:
        self._parts = [part for part in PARTS if has_std or part in ("_ref", "_alt", "_effect")]
        (self._status,) = free_stems(["DEGU_STATUS"], [""], header)
        taken = [*header, f"##INFO=<ID={self._status},"]
        stems = free_stems([f"DEGU_{target}" for target in targets], self._parts, taken)
        self._keys = [[stem + part for part in self._parts] for stem in stems]
        types = {"_excludes_0": "Integer"}
        infos = [
            Info(key, types.get(part, "Float"), f"{target}: {PARTS[part][1]}")
            for target, keys in zip(targets, self._keys, strict=True)
            for key, part in zip(keys, self._parts, strict=True)
        ]
        infos.append(Info(self._status, "String", "ok, or why degu has no values"))
        self.header = extended_header(header, contigs, infos, notes)

    def of(self, variants: Sequence[Variant], effects: Effects) -> bytes:
        """Lines of a block."""
        cells = _cells(effects, ".")
        lines, first = [], 0
        for variant in variants:
            own = slice(first, first + len(variant.alts))
            first = own.stop
            infos = {
                key: [targets[t][p] for targets in cells[own]]
                for t, keys in enumerate(self._keys)
                for p, key in enumerate(keys)
            }
            infos[self._status] = effects.status[own]
            lines.append(extended_line(variant, infos))
        return b"".join(lines)
