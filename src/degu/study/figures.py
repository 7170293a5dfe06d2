"""Figures of a study: what each of the catalogue is drawn from, and where it lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import TYPE_CHECKING, Any

from degu.baselines import BASELINES
from degu.baselines.baseline import Baseline
from degu.plots.catalogue import FIGURES, Figure
from degu.plots.series import BUILT_IN, judged_series, series_name
from degu.study.inputs import explained, shift_inputs, shift_params
from degu.study.kinds import kind_of
from degu.study.layout import ARMS, Layout
from degu.sweep import Arm

if TYPE_CHECKING:
    from degu.study.study import Study

Wildcards = Mapping[str, str]
Files = Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """What figures are drawn from.

    Attributes:
        files: by name, of the arm, target and method that a figure's wildcards name.
        arms: of a study, those that have it.
        roles: whether it tells kinds of models apart, so that a figure needs the look of each.
        members: functions from wildcards to the identities of what ``files`` has by that name.
    """

    files: Callable[[Study, Figure, Wildcards], Files]
    arms: Callable[[Study], Sequence[Arm]] = lambda study: study.arms
    roles: bool = True
    members: Callable[[Study], Mapping[str, Callable[[Wildcards], Any]]] = lambda study: {}


def _map_arms(study: Study) -> Sequence[Arm]:
    return study.attribution_arms


def _drawn_maps(study: Study, figure: Figure, wildcards: Wildcards) -> Files:
    """The file of an arm's maps, and those that it links to of the models that are drawn."""
    teachers, others = explained(study, wildcards)
    others = [member for member in others if member.member == 1]
    path, method = study.layout.maps, wildcards["method"]
    return {
        "maps": study.layout.attribution_maps(study.arm(wildcards)),
        "teachers": [path(member, method) for member in teachers[:2]],
        "students": [path(member, method) for member in others],
    }


def _who(study: Study) -> Mapping[str, Callable[[Wildcards], Any]]:
    own = shift_params(study)
    return {name: own[name] for name in ("teachers", "students")}


SOURCES: dict[str, Source] = {
    "summary": Source(lambda study, figure, w: {"table": study.layout.summary(figure.part)}),
    "shift_table": Source(
        lambda study, figure, w: {"table": study.layout.shift_table(study.arm(w))}
    ),
    "shift_predictions": Source(lambda study, figure, w: shift_inputs(study)(w), members=_who),
    "uncertainty": Source(
        lambda study, figure, w: {
            name: study.layout.uncertainty(name) for name in ("summary", "curves", "differences")
        }
    ),
    "attribution_table": Source(
        lambda study, figure, w: {"table": study.layout.attribution_table(study.arm(w))},
        arms=_map_arms,
    ),
    "attribution_maps": Source(
        lambda study, figure, w: {"maps": study.layout.attribution_maps(study.arm(w))},
        arms=_map_arms,
    ),
    "attribution_members": Source(_drawn_maps, arms=_map_arms, roles=False),
}
"""By name, as the catalogue's figures have it; each has the data set beside it."""


def job(figure: Figure) -> str:
    """What tells a figure's jobs apart, a pattern of wildcards; empty if there is one."""
    name = Layout.arm_job(ARMS)
    return {"study": "", "arm": name, "maps": f"{name}_{{target}}_{{method}}"}[figure.per]


def path(study: Study, figure: Figure, suffix: str) -> str:
    """The pattern of a figure's files, in the format of a suffix."""
    own = job(figure)
    return study.layout.figure(f"{figure.name}/{own}" if own else figure.name, suffix)


def labels(figure: Figure) -> dict[str, str]:
    """What tells a figure apart in the report."""
    arm = {} if figure.per == "study" else {"arm": "{augmentation}, {proportion}, n = {size}"}
    return {"content": figure.content, **arm}


def inputs(study: Study, figure: Figure) -> Callable[[Wildcards], dict[str, Any]]:
    """What a figure is drawn from, for ``unpack``."""
    source = SOURCES[figure.source]
    return lambda wildcards: {
        "dataset": study.layout.dataset,
        **source.files(study, figure, wildcards),
    }


def params(study: Study, figure: Figure) -> dict[str, Any]:
    """What drawing a figure goes by, and who its files belong to.

    ``members`` is a function of wildcards where a figure is told of members.
    """
    source = SOURCES[figure.source]
    members = source.members(study)

    def who(wildcards: Wildcards) -> dict[str, Any]:
        return {name: of(wildcards) for name, of in members.items()}

    return {
        "draw": figure.draw,
        "series": looks(study) if source.roles else [],
        "settings": {key: _setting(study.config, key) for key in figure.settings},
        "members": who if members else {},
    }


def _setting(config: Mapping[str, Any], key: str) -> Any:
    return reduce(lambda section, name: section[name], key.split("."), config)


def looks(study: Study) -> list[dict[str, str]]:
    """Series of a study's models that are not built in, for :func:`degu.plots.series.register`.

    The process that draws does not know the kinds of model, so that it is told by parameters.
    """
    found = {}
    for kind in study.kinds:
        for choice in kind.choices(study.config):
            uncertainty = {**kind.fixed(study.config), **choice}.get("uncertainty", "")
            name = series_name(kind.role, uncertainty)
            if name not in BUILT_IN:
                label = (kind.label or kind.role) + (f" ({uncertainty})" if uncertainty else "")
                found[name] = {"role": kind.role, "uncertainty": uncertainty, "label": label}
    for name in study.config["baselines"]:
        found |= _judged_looks(study, BASELINES[name], set(found))
    return list(found.values())


def _judged_looks(study: Study, baseline: Baseline, known: set[str]) -> dict[str, dict[str, str]]:
    """Series of a baseline whose uncertainty is judged, by the choices of the kinds it is of."""
    found = {}
    for kind in map(kind_of, baseline.of):
        for choice in kind.choices(study.config):
            own = {"uncertainty": "", "variant": ""}
            if not baseline.ensemble:
                own |= {**kind.fixed(study.config), **choice}
            name = judged_series(baseline.name, own["uncertainty"], own["variant"])
            if name not in known:
                told = name.removeprefix(baseline.name).strip()
                label = baseline.label + (f" ({told})" if told else "")
                found[name] = {"role": baseline.name, "uncertainty": told, "label": label}
    return found


def files(study: Study, part: str) -> list[str]:
    """The figures of a part of a study, each in all formats."""
    return [
        path(study, figure, suffix).format(**wildcards)
        for figure in FIGURES.values()
        if figure.part == part and figure.needs(study)
        for wildcards in _places(study, figure)
        for suffix in ("pdf", "png")
    ]


def _places(study: Study, figure: Figure) -> list[dict[str, str]]:
    """Wildcards of all of a figure's jobs."""
    if figure.per == "study":
        return [{}]
    arms = [arm.wildcards for arm in SOURCES[figure.source].arms(study)]
    if figure.per == "arm":
        return arms
    return [
        {**arm, "target": target, "method": method}
        for arm, target, method in product(arms, study.targets, study.methods)
    ]
