"""Attribution maps of an arm's most active sequences as logos."""

from __future__ import annotations

import os
from typing import NamedTuple

import h5py
import numpy as np
from matplotlib.figure import Figure

from degu.attribution.maps import importance
from degu.attribution.motifs import marks
from degu.errors import InputError
from degu.ingest.simulate import MOTIFS
from degu.io.hdf5 import open_hdf5
from degu.plots.inputs import Inputs
from degu.plots.logos import plot_logos
from degu.plots.maps import method_name, series_of
from degu.plots.series import in_order


def draw(given: Inputs) -> Figure:
    """The figure of an arm's maps by one method, of one target."""
    target, method = given.target, given.method
    logos = read_logos(given.files["maps"], target, method, given.settings["attribution.logos"])
    # Where motifs were planted and the config names none, they are the simulation's.
    planted = {} if logos.mask is None else {m.name: m.consensus for m in MOTIFS}
    motifs = given.settings["attribution.motifs"] or planted
    return plot_logos(
        logos.x,
        logos.maps,
        names=logos.names,
        measured=logos.measured,
        predictions=logos.predictions,
        marks=marks(logos.x, motifs, logos.mask),
        windows_by="ensemble",
        units=given.units,
        title=f"{target}, {method_name(method)}: {given.arm_name}",
    )


class Logos(NamedTuple):
    """What is drawn of a few sequences; the arguments of :func:`degu.plots.logos.plot_logos`
    of these names."""

    x: np.ndarray
    maps: dict[str, np.ndarray]
    names: list[str]
    measured: np.ndarray
    predictions: dict[str, np.ndarray]
    mask: np.ndarray | None


def read_logos(path: str | os.PathLike[str], target: str, method: str, sequences: int) -> Logos:
    """The most active sequences and their maps, from the file of an arm's maps.

    Args:
        path: ``attribution/n{size}.h5``, of :func:`degu.attribution.analysis.evaluate_arm`.
        target, method: of the maps.
        sequences: how many, at most.

    Returns:
        Rows for the first two teachers, the ensemble, and the first student of each kind; ``mask``
        (n, L) is where motifs were planted, or None.

    Raises:
        InputError: if the file, or one of those that it links to, is not whole.
    """
    with open_hdf5(path) as file:
        try:
            group = file[target]
            top = slice(min(sequences, np.count_nonzero(group["rank"][:])))
            x = group["x"][top]
            maps, predictions = {}, {}

            def add(label: str, models: h5py.Group, ix: str) -> None:
                head = models["models"][ix]["mean"]
                maps[label] = importance(head["maps"][top], x, method)
                predictions[label] = head["prediction"][top]

            teachers = group[method]["teachers"]
            for ix in teachers["member"][:2].astype(str):
                add(f"teacher {ix}", teachers, ix)
            maps["ensemble"] = importance(group[method]["ensemble/maps"][top], x, method)
            others = {series_of(name): own for name, own in group[method].items()}
            for series in in_order(others.keys() - {"teacher", "ensemble"}):
                add(series, others[series], str(others[series]["member"][0]))
            return Logos(
                x=x,
                maps=maps,
                names=list(group["id"].asstr()[top]),
                measured=group["y"][top],
                predictions=predictions,
                mask=group["motif_mask"][top] if "motif_mask" in group else None,
            )
        except InputError:
            raise
        except (KeyError, OSError, ValueError) as error:
            raise InputError(
                f"{path} is not a whole file of an arm's maps, or a file that it links to is gone; "
                "delete it and run the workflow's target attribution again."
            ) from error
