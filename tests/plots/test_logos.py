"""Logos: each letter where its position is, as high as its importance, in the base's colour."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from layouts import check_layout
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle

from degu.attribution.motifs import Mark
from degu.plots.logos import BASE_COLORS, draw_logo, plot_logos, strongest_window
from degu.plots.style import save_figure
from degu.sequences import one_hot

ROWS = ("single teacher 1", "single teacher 2", "ensemble", "student (log variance) 1")


def letters(axis):
    """[(position, lowest, highest, colour)] of the letters of a logo."""
    found = []
    for patch in axis.patches:
        if isinstance(patch, PathPatch):
            box = patch.get_path().get_extents()
            centre = (box.x0 + box.x1) / 2
            found.append((centre, box.y0, box.y1, to_hex(patch.get_facecolor())))
    return sorted(found)


def shades(axis):
    """[(left, right)] of shaded stretches."""
    return sorted(
        (patch.get_x(), patch.get_x() + patch.get_width())
        for patch in axis.patches
        if isinstance(patch, Rectangle)
    )


def expected_letters(sequence, importance, start=0):
    """The same, from the string of the sequence."""
    found = []
    for offset, (base, height) in enumerate(zip(sequence, importance, strict=True)):
        if base != "N" and height != 0:
            color = BASE_COLORS[base].lower()
            found.append((start + offset + 1, min(0, height), max(0, height), color))
    return found


def assert_letters(axis, expected):
    found = letters(axis)
    assert len(found) == len(expected)
    for (position, *edges, color), (at, *limits, hue) in zip(found, expected, strict=True):
        assert position == pytest.approx(at, abs=0.02)
        assert edges == pytest.approx(limits, abs=1e-6)
        assert color == hue


def made(n=2, length=100, rows=ROWS, seed=0):
    """Sequences as strings and one-hot, and maps with a strong stretch in a different place."""
    rng = np.random.default_rng(seed)
    strings = ["".join(rng.choice(list("ACGT"), length)) for _ in range(n)]
    maps = {row: rng.normal(0, 0.1, (n, length)) for row in rows}
    for own in maps.values():
        for i in range(n):
            own[i, 10 * i + 5 : 10 * i + 9] += 2
    return strings, one_hot(strings), maps


def draw(x, maps, **options):
    n = len(x)
    given = {"names": [f"test_{i}" for i in range(n)], "measured": np.arange(n) + 0.5}
    return plot_logos(x, maps, **{**given, **options})


def test_a_letter_is_as_high_as_its_importance():
    axis = Figure().subplots()
    importance = np.array([0.5, -0.25, 0.0, 2.0, 1.0, -3.0])
    draw_logo(axis, one_hot(["ACGTNA"])[0], importance)
    expected = [
        (1, 0, 0.5, "#009e73"),
        (2, -0.25, 0, "#0849ae"),
        (4, 0, 2.0, "#a50f15"),
        (6, -3.0, 0, "#009e73"),
    ]
    assert_letters(axis, expected)
    assert axis.get_xlim() == (0.5, 6.5)


@pytest.mark.parametrize("base", "ACGT")
def test_a_negative_letter_stands_on_its_head(base):
    axis = Figure().subplots()
    draw_logo(axis, one_hot([2 * base])[0], np.array([1.5, -1.5]))
    up, down = (patch.get_path().vertices for patch in axis.patches)
    assert down == pytest.approx(up * [1, -1] + [1, 0], abs=1e-6)
    (glyph,) = {to_hex(patch.get_facecolor()) for patch in axis.patches}
    assert glyph == BASE_COLORS[base].lower()


def test_shapes_of_letters_differ():
    axis = Figure().subplots()
    draw_logo(axis, one_hot(["ACGT"])[0], np.ones(4))
    assert len({patch.get_path().vertices.shape for patch in axis.patches}) == 4


def test_rows_and_sequences():
    strings, x, maps = made(3, length=30)
    figure = draw(x, maps, window=30)
    assert len(figure.axes) == 3 * len(ROWS)
    for (i, row), axis in zip(itertools.product(range(3), ROWS), figure.axes, strict=True):
        assert_letters(axis, expected_letters(strings[i], maps[row][i]))
        assert axis.get_xlim() == (0.5, 30.5)
    for i in range(3):
        own = figure.axes[i * len(ROWS) : (i + 1) * len(ROWS)]
        assert len({axis.get_ylim() for axis in own}) == 1
        low, high = own[0].get_ylim()
        values = np.concatenate([maps[row][i] for row in ROWS])
        assert low < values.min()
        assert high > values.max()
        assert low > values.min() - 0.1 * np.ptp(values)
    labels = [axis.texts[0].get_text().split("\n") for axis in figure.axes[: len(ROWS)]]
    # A series of figures has its usual name.
    assert [" ".join(lines) for lines in labels] == [*ROWS[:2], "ensemble mean", ROWS[3]]


def test_only_positive_maps_start_at_zero_or_just_below():
    _, x, maps = made(1, 20)
    figure = draw(x, {row: abs(own) for row, own in maps.items()})
    low, high = figure.axes[0].get_ylim()
    assert -0.05 * high < low <= 0


def test_a_flat_map_has_no_letters():
    _, x, _ = made(1, 20)
    figure = draw(x, {"ensemble": np.zeros((1, 20))})
    assert letters(figure.axes[0]) == []
    low, high = figure.axes[0].get_ylim()
    assert low < 0 < high


def test_the_window_is_where_one_map_is_strongest():
    strings, x, maps = made(2, 60)
    maps["ensemble"][0, 40:44] = -9  # the size counts, not the sign
    figure = draw(x, maps, window=10, windows_by="ensemble")
    for i, row in itertools.product(range(2), range(len(ROWS))):
        axis = figure.axes[i * len(ROWS) + row]
        sums = [abs(maps["ensemble"][i, s : s + 10]).sum() for s in range(51)]
        start = int(np.argmax(sums))
        stretch = slice(start, start + 10)
        assert_letters(
            axis, expected_letters(strings[i][stretch], maps[ROWS[row]][i, stretch], start)
        )
        assert axis.get_xlim() == (start + 0.5, start + 10.5)
        if i == 0:
            assert start <= 40 < 44 <= start + 10
            assert f"positions {start + 1} to {start + 10} of 60" in figure.texts[0].get_text()
    # By default the mean of all rows decides.
    mean = sum(maps.values()) / len(maps)
    start = max(range(51), key=lambda s: abs(mean[1, s : s + 10]).sum())
    assert draw(x, maps, window=10).axes[-1].get_xlim() == (start + 0.5, start + 10.5)


@given(
    hnp.arrays(float, st.integers(1, 30), elements=st.integers(-5, 5).map(float)),
    st.integers(1, 35),
)
def test_strongest_window(importance, width):
    start, stop = strongest_window(importance, width)
    assert stop - start == min(width, len(importance))
    sums = [abs(importance[s : s + stop - start]).sum() for s in range(len(importance))]
    sums = sums[: len(importance) - (stop - start) + 1]
    assert start == sums.index(max(sums))


def test_marks_are_shaded_in_all_rows_and_named_above_the_first():
    _, x, maps = made(2, 40)
    marks = [[Mark(3, 9, "AP-1"), Mark(20, 24, "")], []]
    figure = draw(x, maps, marks=marks)
    for axis in figure.axes[: len(ROWS)]:
        # Positions 4 to 9, counted from 1, and 21 to 24.
        assert shades(axis) == [(3.5, 9.5), (20.5, 24.5)]
    for axis in figure.axes[len(ROWS) :]:
        assert shades(axis) == []
    names = [[text.get_text() for text in axis.texts[1:]] for axis in figure.axes]
    assert names == [["AP-1", ""], *[[] for _ in figure.axes[1:]]]
    (text,) = (text for text in figure.axes[0].texts if text.get_text() == "AP-1")
    assert text.xy[0] == pytest.approx(6.5)


def test_marks_are_cut_at_the_window():
    _, x, maps = made(1, 60)
    maps["ensemble"][0, 30:40] = 5
    marks = [[Mark(0, 4, "before"), Mark(26, 33, "left"), Mark(39, 50, "$x$"), Mark(40, 45, "no")]]
    figure = draw(x, maps, marks=marks, window=10, windows_by="ensemble")
    for axis in figure.axes:
        assert shades(axis) == [(30.5, 33.5), (39.5, 40.5)]
        assert axis.get_xlim() == (30.5, 40.5)
    assert [text.get_text() for text in figure.axes[0].texts[1:]] == ["left", r"\$x\$"]


def test_titles_predictions_and_units():
    _, x, maps = made(2, 100)
    figure = draw(
        x,
        maps,
        names=["chr1_$7", "b"],
        measured=np.array([5.218, -1.0]),
        predictions={"ensemble": np.array([4.876, 0.1])},
        units="log2 enrichment",
        title="Dev, $saliency$",
    )
    texts = [text.get_text() for text in figure.texts]
    assert texts[0].startswith(r"chr1_\$7, measured 5.22, positions ")
    assert texts[1].startswith("b, measured -1.00, positions ")
    assert "importance (log2 enrichment)" in texts
    assert figure.get_suptitle() == r"Dev, \$saliency\$"
    rows = [axis.texts[0].get_text() for axis in figure.axes]
    assert rows[2] == "ensemble mean\npredicts 4.88"
    assert rows[2 + len(ROWS)] == "ensemble mean\npredicts 0.10"
    assert not any("predicts" in row for i, row in enumerate(rows) if i % len(ROWS) != 2)
    # Positions stand below the last row of each sequence.
    below = [axis.xaxis.get_tick_params()["labelbottom"] for axis in figure.axes]
    assert below == [False, False, False, True] * 2


OVERLAPPING = [
    Mark(0, 4, "a long name at the left end"),
    Mark(1, 3, "GATA"),
    Mark(2, 8, "AP-1"),
    Mark(40, 46, "E-box"),
    Mark(42, 48, "a motif of a long $ name"),
    Mark(47, 50, "twist"),
    Mark(74, 80, "at the right end"),
    Mark(77, 80, "Trl"),
]


@pytest.mark.parametrize("length", [12, 80, 249])
@pytest.mark.parametrize("rows", [ROWS[2:], ROWS])
@pytest.mark.parametrize("sequences", [1, 3])
def test_nothing_is_cut_off_or_written_over_another(sequences, rows, length):
    _, x, maps = made(sequences, length, rows)
    for own in maps.values():
        own[0, :80] *= 3
    marks = [[m for m in OVERLAPPING if m.stop <= length], [Mark(0, 9, "AP-1")], []][:sequences]
    figure = draw(
        x,
        maps,
        marks=marks,
        predictions={row: np.full(sequences, -10.0) for row in rows},
        names=["chr3R_12345678_12345926_+_negative"] * sequences,
        units="log2 enrichment",
        title="Dev, DeepSHAP, shuffles: standard, proportion 0.25, ensemble size 10",
    )
    check_layout(figure, least_height=0.35)
    assert figure.get_size_inches()[0] == 7


def test_a_row_more_makes_it_higher_and_bytes_are_the_same(tmp_path):
    _, x, maps = made(1, 30)
    heights = [draw(x, {row: maps[row] for row in ROWS[:n]}).get_size_inches()[1] for n in (2, 3)]
    assert 0.3 < heights[1] - heights[0] < 0.7
    for name in ("a", "b"):
        save_figure(draw(x, maps), tmp_path / f"{name}.png", tmp_path / f"{name}.pdf")
    for suffix in ("png", "pdf"):
        a, b = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in "ab")
        assert a == b


# Simulated dichromacy: matrices for linear RGB of Machado et al., IEEE Trans. Vis. Comput. Graph.
# 15:1291, 2009, table 1, severity 1.
DICHROMACY = {
    "none": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def lab(linear):
    """CIELAB of linear sRGB."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ np.clip(linear, 0, 1) / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("kind", DICHROMACY)
def test_bases_are_told_apart_by_colour(kind):
    seen = {}
    for base, color in {**BASE_COLORS, "background": "#FFFFFF"}.items():
        rgb = np.array(to_rgb(color))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        seen[base] = lab(np.array(DICHROMACY[kind]) @ linear)
    for a, b in itertools.combinations(seen.values(), 2):
        assert np.linalg.norm(a - b) > 25  # 2.3 is just noticeable


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"maps": {}}, "maps"),
        ({"x": np.zeros((0, 20, 4))}, "sequences"),
        ({"maps": {"a": np.zeros((1, 19))}}, "a is not of shape"),
        ({"maps": {"a": np.full((1, 20), np.nan)}}, "a is not of shape"),
        ({"names": ["a", "b"]}, "not all of 1"),
        ({"marks": [[], []]}, "not all of 1"),
        ({"predictions": {"a": np.zeros(2)}}, "not all of 1"),
    ],
)
def test_what_does_not_fit(change, message):
    _, x, maps = made(1, 20)
    arguments = {"x": x, "maps": maps} | change
    with pytest.raises(ValueError, match=message):
        draw(**arguments)
