"""EvoAug beside standard training."""

import numpy as np
import pytest
from studies import (
    COLORS,
    GRID,
    MARKERS,
    PROPORTIONS,
    VARIANTS,
    Table,
    bands,
    curves,
    legend_labels,
    make_summary,
    models,
    t_interval,
)

from degu.errors import InputError
from degu.plots.evoaug import plot_evoaug

TARGETS = ("Dev", "Hk")
STUDENTS = ("student std", "student logvar")
PANELS = (("mean", ("teacher", "ensemble")), ("mean", STUDENTS), ("std", STUDENTS))
LARGE = ("standard", 1.0, 10)


def color(series):
    return COLORS[series].lower()


def by_stage(table, name, arm, stage, **identity):
    """Values of a series before (aug) or after (None) fine-tuning."""
    if stage is None or name == "ensemble":
        return table.series(name, arm, **identity)
    return table.series(name, arm, stage=stage, **identity)


def test_evoaug_against_proportion():
    summary = make_summary(GRID, students=4, dynamic={LARGE: VARIANTS}, shifts=("none",))
    table = Table(summary)
    figure = plot_evoaug(summary)
    axes = np.array(figure.axes).reshape(3, 2)
    for panels, (head, names) in zip(axes, PANELS, strict=True):
        for axis, target in zip(panels, TARGETS, strict=True):
            identity = {"target": target, "head": head, "metric": "Pearson"}
            found = curves(axis)
            wanted = 0
            for name in names:
                looks = [("standard", "--", None), ("evoaug", "-", None)]
                if name != "ensemble":
                    looks.append(("evoaug", "None", "aug"))
                for augmentation, line, stage in looks:
                    x, y = found[color(name), MARKERS[name], line, stage == "aug"]
                    assert x == list(PROPORTIONS)
                    expected = [
                        by_stage(table, name, (augmentation, p, 10), stage, **identity)
                        for p in PROPORTIONS
                    ]
                    assert y == pytest.approx([np.mean(values) for values in expected])
                    wanted += 1
                    if stage is None and name != "ensemble":
                        edges = {
                            p: t_interval(values)
                            for p, values in zip(PROPORTIONS, expected, strict=True)
                        }
                        own = [band for hue, band in bands(axis) if hue == color(name)]
                        assert any(
                            all(band[x] == pytest.approx(edges[x]) for x in edges) for band in own
                        )
            assert len(found) == wanted
            # Of final models alone, and none of the ensemble.
            assert len(bands(axis)) == 2 * sum(name != "ensemble" for name in names)
    assert figure.get_suptitle() == "standard and evoaug, ensemble size 10"
    assert legend_labels(figure) == [
        *("single teacher, 10 models", "ensemble mean"),
        *("student (std), 4 models", "student (log variance), 4 models"),
        *("standard", "evoaug", "evoaug, before fine-tuning"),
    ]


def test_activity_is_on_one_scale_that_shows_every_point():
    for seed in range(3):
        figure = plot_evoaug(make_summary(GRID, ("a", "b", "c"), students=2, seed=seed))
        axes = np.array(figure.axes).reshape(3, 3)
        for upper, lower in zip(axes[0], axes[1], strict=True):
            assert upper.get_ylim() == lower.get_ylim()
            low, high = upper.get_ylim()
            values = [v for axis in (upper, lower) for _, y in curves(axis).values() for v in y]
            assert low < min(values)
            assert max(values) < high


PAIR = (("standard", 1.0, 2), ("standard", 1.0, 3), ("standard", 0.5, 3), ("evoaug", 1.0, 3))


def test_evoaug_as_a_pair():
    summary = make_summary(PAIR, students=3)
    table = Table(summary)
    figure = plot_evoaug(summary)
    axes = np.array(figure.axes).reshape(3, 2)
    for panels, (head, names) in zip(axes, PANELS, strict=True):
        for axis, target in zip(panels, TARGETS, strict=True):
            identity = {"target": target, "head": head, "metric": "Pearson"}
            found = {
                (round(place), hue, hollow): values
                for (place, hue, hollow), values in models(axis, horizontal=False).items()
            }
            wanted = {
                (x, color(name), stage == "aug"): by_stage(
                    table, name, (augmentation, 1.0, 3), stage, **identity
                )
                for x, augmentation in enumerate(("standard", "evoaug"))
                for name in names
                for stage in (None, "aug")
                if stage is None or (augmentation == "evoaug" and name != "ensemble")
            }
            assert set(found) == set(wanted)
            for key, values in wanted.items():
                mean, bar, singles = found[key]
                assert mean == pytest.approx(np.mean(values))
                assert singles == pytest.approx(values)
                if len(values) > 1:
                    assert bar == pytest.approx(t_interval(values))
    for axis in axes[-1]:
        assert [t.get_text() for t in axis.get_xticklabels()] == ["standard", "evoaug"]
    assert figure.get_suptitle() == "standard and evoaug, proportion 1, ensemble size 3"


def test_evoaug_of_ensembles_alone_has_one_row():
    figure = plot_evoaug(make_summary(PAIR, kinds=()))
    assert len(figure.axes) == 2
    assert legend_labels(figure) == [
        *("single teacher, 3 models", "ensemble mean", "evoaug, before fine-tuning"),
    ]


@pytest.mark.parametrize(
    "arms",
    [
        [("standard", 1.0, 3)],
        [("evoaug", 1.0, 3)],
        [("standard", 1.0, 3), ("evoaug", 1.0, 2), ("evoaug", 0.5, 3)],
    ],
)
def test_nothing_to_compare(arms):
    with pytest.raises(InputError, match=r"both standard and evoaug .* arms to the config\.$"):
        plot_evoaug(make_summary(arms, students=1))
