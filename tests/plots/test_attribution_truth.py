"""Attribution maps against planted motifs."""

import numpy as np
import pytest
from map_studies import Lookup, look, make_attribution, parts, shown, studies
from studies import legend_labels, models

from degu.attribution.methods import Method, registered
from degu.plots.attribution_truth import plot_attribution_truth

LABELS = {
    "saliency": "saliency",
    "shap": "DeepSHAP",
    "shap_dinuc_shuffle": "DeepSHAP,\nshuffles",
    "ism": "in-silico\nmutagenesis",
}


@studies
def test_scores_against_planted_motifs(study):
    arm, targets, methods, series = parts(study)
    summary = make_attribution(**study)
    table = Lookup(summary)
    series.insert(1, "ensemble")
    figure = plot_attribution_truth(summary)
    axes = iter(figure.axes)
    assert len(figure.axes) == 2 * len(targets)
    # A row of panels holds two targets, each with its two scores.
    for target in targets:
        for metric in ("AUROC", "AUPRC"):
            axis = next(axes)
            found = models(axis, horizontal=True)
            assert len(found) == len(methods) * len(series)
            by_row = {(round(place), hue): own for (place, hue, _), own in found.items()}
            for row, method in enumerate(methods):
                for name in series:
                    identity = {"target": target, "method": method, "metric": metric}
                    values = table(name, arm, **identity)
                    mean, bar, singles = by_row[row, look(name)[0]]
                    assert mean == pytest.approx(np.mean(values))
                    assert singles == pytest.approx(values)
                    assert (bar is None) == (len(values) < 3)
            (line,) = (line for line in axis.lines if line.get_linestyle() == ":")
            (chance,) = [0.5] if metric == "AUROC" else table("truth", **TRUTH, target=target)
            assert list(line.get_xdata()) == [chance, chance]
            assert axis.get_xlim()[0] < chance
            assert axis.get_xlabel() == metric
            assert axis.get_title().replace("\n", " ") == shown(target)
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == [LABELS[method] for method in methods]
    assert legend_labels(figure)[-1] == "chance"


TRUTH = {"metric": "Chance_AUPRC"}


def test_a_method_that_is_registered_is_drawn_by_its_label():
    with registered(Method("integrated", "integrated\ngradients", "none:none", "sum")):
        figure = plot_attribution_truth(make_attribution(methods=("integrated", "ism")))
        names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
        assert names == ["in-silico\nmutagenesis", "integrated\ngradients"]
