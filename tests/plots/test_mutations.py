"""The heat map of a scan, read from the figure's artists."""

import numpy as np
from matplotlib.figure import Figure

from degu.plots.mutations import plot_scan
from degu.sequences import letter_codes

CODES = letter_codes([b"ACGTNACGTA"])[0]


def made(length=10, targets=2, std=True):
    rng = np.random.default_rng(0)
    codes = np.resize(CODES, length)
    effect = rng.normal(size=(length, 4, targets))
    effect[codes == 4] = np.nan
    known = np.flatnonzero(codes < 4)
    effect[known, codes[known]] = np.nan
    return codes, effect, np.abs(effect) if std else None


def panels(figure: Figure):
    return [axis for axis in figure.axes if axis.images]


def test_a_target_has_a_panel_of_effects_and_one_of_stds():
    codes, effect, std = made()
    figure = plot_scan(codes, effect, std, ["leaf", "$root$"], title="chr1:1-10")
    labels = [axis.get_ylabel() for axis in panels(figure)]
    assert labels == ["leaf\neffect", "leaf\nstd", r"\$root\$" + "\neffect", r"\$root\$" + "\nstd"]
    for i, axis in enumerate(panels(figure)):
        values = (effect, std)[i % 2][..., i // 2]
        shown = axis.images[0].get_array()
        # Bases from A at the top; what is there counts as no effect, N has no colour.
        for position, code in enumerate(codes):
            for base in range(4):
                if code == 4:
                    assert shown.mask[base, position]
                elif base == code:
                    assert shown[base, position] == 0
                else:
                    assert shown[base, position] == values[position, base]
        low, high = axis.images[0].get_clim()
        assert high == np.nanmax(np.abs(values))
        assert low == (-high if i % 2 == 0 else 0)
        dots = axis.collections[0].get_offsets()
        known = np.flatnonzero(codes < 4)
        np.testing.assert_array_equal(dots, np.stack([known + 1, codes[known]], axis=1))
        assert axis.get_xlim() == (0.5, 10.5)
    figure.draw_without_rendering()


def test_without_stds_there_are_panels_of_effects_alone():
    codes, effect, _ = made(std=False)
    figure = plot_scan(codes, effect, None, ["leaf", "root"])
    assert [axis.get_ylabel() for axis in panels(figure)] == ["leaf\neffect", "root\neffect"]


def test_short_sequences_are_spelt_and_long_ones_are_wide():
    codes, effect, std = made(60)
    figure = plot_scan(codes, effect, std, ["a", "b"])
    spelt = "".join(text.get_text() for text in panels(figure)[-1].texts)
    assert spelt == "".join("ACGTN"[code] for code in codes)
    codes, effect, std = made(500)
    wide = plot_scan(codes, effect, std, ["a", "b"])
    assert not panels(wide)[-1].texts
    assert wide.get_figwidth() > 2 * figure.get_figwidth()


def test_a_sequence_without_any_known_base_is_drawn():
    codes = np.full(5, 4, np.uint8)
    plot_scan(codes, np.full((5, 4, 1), np.nan), None, ["a"]).draw_without_rendering()
