"""The catalogue: each figure has its module, caption and place, and what is there is in it."""

import ast
import inspect
import json
import re
from dataclasses import replace

import pytest
from conftest import run_python

from degu.plots import catalogue
from degu.plots.catalogue import FIGURES, Figure, drawer, register, registered
from degu.study.figures import SOURCES
from degu.study.parts import PARTS

CAPTIONS_OF_OTHERS = {"study", "summary", "attribution_summary", "uncertainty_summary"}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_its_module_caption_and_place(root, name):
    figure = FIGURES[name]
    assert figure.name == name
    assert figure.draw == f"degu.plots.{name}:draw"
    assert list(inspect.signature(drawer(figure.draw)).parameters) == ["given"]
    caption = (root / "rules" / figure.caption).resolve()
    assert caption == root / f"workflow/report/{name}.rst"
    assert len(caption.read_text().split()) > 20
    assert figure.source in SOURCES
    # A table of a part is made where it has arms.
    makes_summary = {part.name for part in PARTS.values() if part.files is None}
    assert figure.part in (makes_summary if figure.source == "summary" else PARTS)
    for text in (figure.content, figure.category, figure.subcategory):
        assert text.strip() == text != ""
    needs_target = set(re.findall(r"{(\w+)}", figure.content))
    assert needs_target <= ({"target", "method"} if figure.per == "maps" else set())


def test_a_figure_that_is_in_no_entry_is_an_error(root):
    """Modules with a function ``draw``, and captions, are those of the catalogue."""
    drawing = {
        path.stem
        for path in (root / "src/degu/plots").glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == "draw"
    }
    assert drawing == set(FIGURES)
    captions = {path.stem for path in (root / "workflow/report").glob("*.rst")}
    assert captions - CAPTIONS_OF_OTHERS == set(FIGURES)
    assert [path.name for path in (root / "workflow/scripts").glob("plot*")] == ["plot.py"]


def test_figures_are_told_apart_in_the_report():
    places = [(f.category, f.subcategory, f.content) for f in FIGURES.values()]
    assert len(set(places)) == len(places)


def test_a_name_is_taken_once():
    dummy = replace(FIGURES["performance"], name="dummy")
    before = dict(FIGURES)
    with registered(dummy):
        assert [*FIGURES][-1] == "dummy"
        with pytest.raises(ValueError, match="dummy"):
            register(dummy)
    assert before == FIGURES
    with pytest.raises(ValueError, match="shift"):
        register(FIGURES["shift"])


def test_a_figure_of_ones_own_draws_from_anywhere():
    figure = Figure("mine", "mine", "Mine", "summary", "all", draw="degu.plots.catalogue:drawer")
    assert drawer(figure.draw) is catalogue.drawer
    assert figure.caption == "../workflow/report/mine.rst"


LIGHT = """
import json, sys
import degu.plots.catalogue, degu.plots.series
heavy = {"matplotlib", "tensorflow", "keras", "pandas", "h5py"}
print(json.dumps(sorted(heavy & set(sys.modules))))
"""


def test_the_catalogue_imports_nothing_that_draws(tmp_path):
    process = run_python(LIGHT, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout) == []
