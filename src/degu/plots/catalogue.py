"""The catalogue of figures: what each is drawn from, who draws it, and which studies have it.

A figure is a module here with a function ``draw``, a caption in ``workflow/report`` and a line
below; rules, plans and report follow from these. Importing it imports nothing that draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol

from degu.sweep import Arm, sweeps

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawn

    from degu.plots.inputs import Inputs


class Study(Protocol):
    """What a figure may ask of a study."""

    @property
    def config(self) -> Mapping[str, Any]:
        """A checked config."""
        ...

    @property
    def arms(self) -> Sequence[Arm]:
        """Its ensembles."""
        ...


@dataclass(frozen=True)
class Figure:
    """A figure of a study, or one for each of its arms.

    Attributes:
        name: of its files, its rule (``plot_{name}``), its module and its caption.
        content: what it shows, for the report.
        subcategory: its heading in the report.
        source: what it is drawn from, a key of :data:`degu.study.figures.SOURCES`.
        part: of the study, that makes it.
        needs: whether a study has what it shows.
        per: what there is one for: the study, an arm, or an arm's maps by a method, of a target.
        settings: keys of the config (``attribution.logos``) that it goes by.
        draw: ``module:function`` from :class:`degu.plots.inputs.Inputs` to a Matplotlib figure;
            by default ``draw`` of the module of its name.
        caption: file of its caption, from the folder of the rules; by default of its name.
    """

    name: str
    content: str
    subcategory: str
    source: str
    part: str
    needs: Callable[[Study], bool] = lambda study: True
    per: Literal["study", "arm", "maps"] = "study"
    settings: tuple[str, ...] = ()
    draw: str = ""
    caption: str = ""
    category: str = "Figures"

    def __post_init__(self) -> None:
        if not self.draw:
            object.__setattr__(self, "draw", f"degu.plots.{self.name}:draw")
        if not self.caption:
            object.__setattr__(self, "caption", f"../workflow/report/{self.name}.rst")


def drawer(draw: str) -> Callable[[Inputs], Drawn]:
    """The function that a figure's ``draw`` names."""
    module, _, function = draw.partition(":")
    return getattr(import_module(module), function)


def _varies(over: str) -> Callable[[Study], bool]:
    """Whether arms differ in one field alone."""
    return lambda study: bool(sweeps(study.arms, over))


def _lists(section: str, key: str) -> Callable[[Study], bool]:
    return lambda study: bool(study.config[section][key])


_maps = _lists("attribution", "methods")

FIGURES: dict[str, Figure] = {}
"""By name, in the order of the report."""


def register(figure: Figure) -> None:
    """Enter a figure in the catalogue; ValueError if its name is taken."""
    if figure.name in FIGURES:
        raise ValueError(f"There is a figure {figure.name} already.")
    FIGURES[figure.name] = figure


@contextmanager
def registered(figure: Figure) -> Iterator[Figure]:
    """Have a figure in the catalogue for a while."""
    register(figure)
    try:
        yield figure
    finally:
        del FIGURES[figure.name]


_TEST, _SHIFTED, _MAPS = "Test sequences", "Shifted sequences", "Attribution"
_UNCERTAINTY = "Uncertainty"

for _figure in (
    Figure("performance", "teachers, ensemble and students", _TEST, "summary", "all"),
    Figure(
        "performance_vs_size",
        "activity by ensemble size",
        _TEST,
        source="summary",
        part="size_sweep",
        needs=_varies("size"),
    ),
    Figure(
        "fidelity_vs_size",
        "epistemic fidelity by ensemble size",
        _TEST,
        source="summary",
        part="size_sweep",
        needs=_varies("size"),
    ),
    Figure(
        "performance_vs_proportion",
        "activity by amount of training data",
        _TEST,
        source="summary",
        part="downsampling",
        needs=_varies("proportion"),
    ),
    Figure(
        "fidelity_vs_proportion",
        "epistemic fidelity by amount of training data",
        _TEST,
        source="summary",
        part="downsampling",
        needs=_varies("proportion"),
    ),
    Figure(
        "evoaug",
        "EvoAug beside standard training",
        _TEST,
        source="summary",
        part="evoaug",
        needs=_varies("augmentation"),
    ),
    Figure(
        "dynamic_augmentation",
        "students by dynamic augmentation",
        _TEST,
        source="summary",
        part="dynamic_augmentation",
        needs=_lists("dynamic_augmentation", "modes"),
    ),
    Figure(
        "shift",
        "teachers and students under shift",
        _SHIFTED,
        source="shift_table",
        part="shift",
        needs=_lists("shift", "kinds"),
        per="arm",
    ),
    Figure(
        "shift_distribution",
        "distribution of predicted activities",
        _SHIFTED,
        source="shift_predictions",
        part="shift",
        needs=_lists("shift", "kinds"),
        per="arm",
    ),
    Figure(
        "uncertainty_reliability",
        "observed against nominal quantiles",
        _UNCERTAINTY,
        source="uncertainty",
        part="uncertainty",
        per="arm",
    ),
    Figure(
        "uncertainty_coverage",
        "coverage of intervals by recalibration",
        _UNCERTAINTY,
        source="uncertainty",
        part="uncertainty",
        per="arm",
    ),
    Figure(
        "uncertainty_width",
        "width of intervals against coverage",
        _UNCERTAINTY,
        source="uncertainty",
        part="uncertainty",
        per="arm",
    ),
    Figure(
        "uncertainty_pit",
        "where in the predicted law measurements lie",
        _UNCERTAINTY,
        source="uncertainty",
        part="uncertainty",
        per="arm",
    ),
    Figure(
        "uncertainty_sparsification",
        "error without the most uncertain",
        _UNCERTAINTY,
        source="uncertainty",
        part="uncertainty",
        per="arm",
    ),
    Figure(
        "uncertainty_shift",
        "uncertainty under shift",
        _UNCERTAINTY,
        source="uncertainty",
        part="uncertainty",
        needs=_lists("shift", "kinds"),
        per="arm",
    ),
    Figure(
        "uncertainty_table",
        "kinds of models by score",
        _UNCERTAINTY,
        source="uncertainty",
        part="uncertainty",
        per="arm",
    ),
    Figure(
        "attribution",
        "agreement of maps",
        _MAPS,
        source="attribution_table",
        part="attribution",
        needs=_maps,
        per="arm",
    ),
    Figure(
        "attribution_bins",
        "maps by bins of activity",
        _MAPS,
        source="attribution_table",
        part="attribution",
        needs=lambda study: _maps(study) and study.config["attribution"]["bins"] > 0,
        per="arm",
    ),
    Figure(
        "attribution_truth",
        "maps against planted motifs",
        _MAPS,
        source="attribution_table",
        part="attribution",
        needs=lambda study: _maps(study) and study.config["data"]["source"] == "simulate",
        per="arm",
    ),
    Figure(
        "attribution_scatter",
        "agreement by sequence",
        _MAPS,
        source="attribution_maps",
        part="attribution",
        needs=_maps,
        per="arm",
    ),
    Figure(
        "attribution_logos",
        "{target}, {method}",
        "Logos",
        source="attribution_members",
        part="attribution",
        needs=_maps,
        per="maps",
        settings=("attribution.logos", "attribution.motifs"),
    ),
):
    register(_figure)
