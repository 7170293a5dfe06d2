"""Who may import whom: the list of layers in docs/architecture.md, held against every import."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/degu"
TEXT = (ROOT / "docs/architecture.md").read_text()
LAYERS = [
    re.findall(r"`(\w+)`", line.partition(":")[0])
    for line in re.search(r"<!-- layers -->(.*)<!-- /layers -->", TEXT, re.DOTALL)[1].splitlines()
    if line
]
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}
MODULES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def subject(module: str) -> str:
    """The loose module or folder of the package that a dotted name belongs to."""
    return module.removeprefix("degu.").split(".")[0]


def imported(source: str) -> list[str]:
    """Dotted names of the package's own modules that a source imports, wherever it does."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names += [f"degu.{a.name}" for a in node.names] if module == "degu" else [module]
    return [n for n in names if n.startswith("degu.") and n != "degu.__version__"]


def against(name: str, source: str) -> list[str]:
    """Imports of a module that run against the layers."""
    own = subject(name)
    return [
        other
        for other in imported(source)
        if subject(other) != own and HEIGHT[subject(other)] >= HEIGHT[own]
    ]


def test_every_module_has_a_place():
    found = {subject(path.relative_to(SOURCE).with_suffix("").parts[0]) for path in MODULES}
    assert found == set(HEIGHT)
    assert len(HEIGHT) == sum(map(len, LAYERS))


def test_few_modules_lie_loose():
    assert len(list(SOURCE.glob("*.py"))) <= 10


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_import_runs_against_the_layers(path):
    name = "degu." + ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    assert against(name, path.read_text()) == []


def test_an_import_against_the_layers_is_seen():
    assert against("degu.io.files", "from degu import dataset") == ["degu.dataset"]
    assert against("degu.io.files", "def f():\n    import degu.plots.style") == ["degu.plots.style"]
    assert against("degu.heads", "from degu.sweep import Arm") == ["degu.sweep"]
    assert against("degu.plots.style", "from degu.io.files import x\nimport degu.errors") == []
    assert against("degu.jobs.train", "from degu.jobs.fit import x") == []


def test_there_are_no_circles_within_a_folder():
    """At import; a circle that a function closes is seen by the layers if it leaves the folder."""
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(("degu", *(part for part in parts if part != "__init__")))
        tree = ast.parse(path.read_text())
        tree.body = [
            node
            for node in tree.body
            if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
            and not isinstance(node, ast.FunctionDef | ast.ClassDef)
        ]
        graph[name] = {other for other in imported(ast.unparse(tree)) if other != name}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail[trail.index(name) :], name))
        if name not in done:
            for other in graph.get(name, ()):
                visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_rule_files_hold_rules_and_not_python():
    """What a rule file defines, it would define untested and in a namespace that all share."""
    lines = 0
    for path in [*(ROOT / "rules").glob("*.smk"), ROOT / "Snakefile"]:
        inside = False
        for line in path.read_text().splitlines():
            if re.match(r"(def|class) ", line):
                inside = True
            elif line and not line.startswith((" ", ")")):
                inside = False
            lines += inside
    assert lines <= 150


def test_scripts_of_rules_are_short_and_unlike_each_other():
    scripts = sorted((ROOT / "workflow/scripts").glob("*.py"))
    texts = {path.stem: path.read_text() for path in scripts}
    for name, text in texts.items():
        assert len(text.splitlines()) <= 40, name
    for name, text in texts.items():
        for other, second in texts.items():
            alike = set(filter(None, map(str.strip, text.splitlines())))
            alike &= set(filter(None, map(str.strip, second.splitlines())))
            assert name == other or len(alike) <= 8, (name, other, alike)
