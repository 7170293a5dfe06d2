"""Is a figure laid out so that it can be read?"""

import itertools
import math
import warnings

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text


def shown_ticks(axis):
    """Tick labels that are drawn: within the axis's limits, and not switched off."""
    low, high = sorted(axis.get_view_interval())
    slack = 1e-9 * (high - low)
    ticks = zip(axis.get_majorticklocs(), axis.get_major_ticks(), strict=True)
    labels = [tick.label1 for at, tick in ticks if low - slack <= at <= high + slack]
    return [label for label in labels if label.get_visible()]


def texts_of(figure):
    """Every text that is drawn."""
    texts = [text for axis in figure.axes for text in (axis.xaxis.label, axis.yaxis.label)]
    texts += [text for axis in figure.axes for text in (axis.title, *axis.texts)]
    texts += figure.texts + [figure._suptitle] * (figure.get_suptitle() != "")
    texts += [text for legend in figure.legends for text in legend.get_texts()]
    for axis in figure.axes:
        texts += shown_ticks(axis.xaxis) + shown_ticks(axis.yaxis)
    return [text for text in dict.fromkeys(texts) if text.get_text().strip()]


def check_layout(figure, least_height=0.75):
    """Texts within the figure, legible, none over another, and panels of a size in inches."""
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        canvas.draw()
    renderer = canvas.get_renderer()
    width, height = figure.get_size_inches()
    assert width <= 7.05
    assert all(text.get_fontsize() >= 6 for text in figure.findobj(Text))
    texts = texts_of(figure)
    boxes = [text.get_window_extent(renderer) for text in texts]
    for text, box in zip(texts, boxes, strict=True):
        assert box.x0 >= -0.5, text
        assert box.y0 >= -0.5, text
        assert box.x1 <= width * figure.dpi + 0.5, text
        assert box.y1 <= height * figure.dpi + 0.5, text
    rotated = {text for text in texts if text.get_rotation() not in (0, 90)}
    for (a, box), (b, other) in itertools.combinations(zip(texts, boxes, strict=True), 2):
        if not {a, b} <= rotated:
            assert not box.padded(-0.5).overlaps(other.padded(-0.5)), (a, b)
    for axis in figure.axes:
        along_x = [t for t in shown_ticks(axis.xaxis) if t.get_text()]
        for a, b in itertools.pairwise(along_x):
            size = a.get_fontsize() / 72 * figure.dpi
            if a in rotated:
                # Of parallel slanted labels, boxes may overlap where the lines of text do not.
                first, second = (t.get_transform().transform(t.get_position()) for t in (a, b))
                slant = math.sin(math.radians(a.get_rotation()))
                assert (second[0] - first[0]) * slant > size
            else:
                gap = b.get_window_extent(renderer).x0 - a.get_window_extent(renderer).x1
                assert gap > 0.4 * size, (a, b)
    panels = [axis.get_window_extent(renderer) for axis in figure.axes]
    for panel in panels:
        assert panel.width / figure.dpi > 0.8
        assert panel.height / figure.dpi > least_height
    for legend in figure.legends:
        box = legend.get_window_extent(renderer)
        assert box.x0 >= -0.5
        assert box.x1 <= width * figure.dpi + 0.5
        assert not any(box.overlaps(axis.get_tightbbox(renderer)) for axis in figure.axes)
    for a, b in itertools.combinations(panels, 2):
        assert not a.overlaps(b)
