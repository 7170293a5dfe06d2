"""The project's own files agree with each other, and the package keeps to its bounds."""

import ast
import importlib.metadata
import importlib.util
import json
import re
import sys
import tomllib

import pytest
import yaml
from conftest import run_python
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import degu


@pytest.fixture(scope="module")
def project(root):
    with (root / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["project"]


@pytest.fixture(scope="module")
def pins(root):
    """Versions of constraints.txt by normalised name."""
    lines = (root / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pairs}


@pytest.fixture(scope="module")
def installed(project):
    """Requirements of `make setup`; the package's own extras are named by what they hold."""
    extras = project["optional-dependencies"]
    (own,) = (t for t in extras["dev"] if Requirement(t).name == project["name"])
    assert Requirement(own).extras == {"workflow"}
    dev = [text for text in extras["dev"] if text != own]
    return [Requirement(text) for text in project["dependencies"] + extras["workflow"] + dev]


def dependencies(environment):
    """Conda dependencies of an environment file, and its pip requirements."""
    *conda, pip = environment["dependencies"]
    return conda, [str(Requirement(text)) for text in pip["pip"]]


def test_conda_environments_hold_what_the_package_needs(root, project):
    texts = project["dependencies"] + project["optional-dependencies"]["workflow"]
    needed = sorted((str(Requirement(text)) for text in texts), key=str.lower)
    python = f"python {project['requires-python']}"
    plain, gpu = (
        yaml.safe_load((root / "envs" / f"{name}.yaml").read_text())
        for name in ("degu", "degu-gpu")
    )
    assert plain["channels"] == gpu["channels"]
    conda, pip = dependencies(plain)
    assert (conda, sorted(pip, key=str.lower)) == ([python, "pip"], needed)
    # The one difference: TensorFlow with the libraries for GPUs, as in the extra `gpu`.
    (with_gpu,) = (Requirement(text) for text in project["optional-dependencies"]["gpu"])
    assert with_gpu.name == "tensorflow"
    assert with_gpu.extras == {"and-cuda"}
    expected = [str(with_gpu) if Requirement(text).name == with_gpu.name else text for text in pip]
    assert expected != pip
    assert dependencies(gpu) == ([python, "pip"], expected)


def test_constraints_are_names_and_versions_only(root):
    lines = (root / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    for line in pins:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.+!]*", line), line
    names = [canonicalize_name(line.split("==")[0]) for line in pins]
    assert len(set(names)) == len(names)
    assert not any("://" in line or "@" in line for line in lines)


def test_every_dependency_is_pinned_to_a_version_that_fits(installed, pins):
    for requirement in installed:
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)])


def test_what_dependencies_need_is_pinned_too(installed, pins):
    """All that this Python installs, so that a setup of next year is the one of today."""
    waiting = list(installed)
    seen = set()
    while waiting:
        requirement = waiting.pop()
        extras = frozenset(requirement.extras)
        if (requirement.name, extras) in seen:
            continue
        seen.add((requirement.name, extras))
        assert canonicalize_name(requirement.name) in pins, requirement
        for text in importlib.metadata.requires(requirement.name) or ():
            needed = Requirement(text)
            marker = needed.marker
            if marker is None or any(marker.evaluate({"extra": e}) for e in ("", *extras)):
                waiting.append(needed)


def test_the_version_is_one_everywhere(root, project):
    assert degu.__version__ == project["version"]
    assert Version(degu.__version__).public == degu.__version__
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    assert citation.get("version", degu.__version__) == degu.__version__


def test_the_citation_is_of_this_package_and_of_the_paper(root, project):
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert project["name"] == f"{citation['title']}-genomics"
    assert citation["license"] == project["license"] == "MIT"
    assert (root / "LICENSE").read_text().startswith("MIT License")
    assert citation["authors"]
    assert citation["message"]
    paper = citation["preferred-citation"]
    assert paper["doi"] == "10.1038/s44387-025-00053-3"
    assert (paper["journal"], paper["volume"]) == ("npj Artificial Intelligence", 2)
    (preprint,) = citation["references"]
    assert preprint["doi"] == "10.1101/2024.11.13.623485"
    for doi in (paper["doi"], preprint["doi"]):
        assert f"https://doi.org/{doi}" in (root / "README.md").read_text()
    assert paper["title"] == "Uncertainty-aware genomic deep learning with knowledge distillation"
    assert [a["family-names"] for a in paper["authors"]] == [
        *("Zhou", "Rizzo", "Christensen", "Tang", "Koo")
    ]


def test_this_python_is_one_that_the_package_supports(project):
    supported = SpecifierSet(project["requires-python"])
    assert ".".join(map(str, sys.version_info[:3])) in supported
    assert "3.11.0" in supported
    assert "3.10.9" not in supported


IMPORTS = """
import importlib, json, sys
heavy = {"tensorflow", "keras", "snakemake", "matplotlib.pyplot"}
found = {}
for name in sys.argv[1:]:
    importlib.import_module(name)
    found[name] = sorted(heavy & set(sys.modules))
print(json.dumps(found))
"""


def snakefile_imports(root):
    """Modules of the package that the Snakefile and the files of rules import."""
    texts = [path.read_text() for path in (root / "Snakefile", *(root / "rules").glob("*.smk"))]
    found = re.findall(r"^ *from (degu[\w.]*) import (\w+(?:, \w+)*)", "\n".join(texts), re.M)
    names = set()
    for package, imported in found:
        modules = [f"{package}.{name}" for name in imported.split(", ")]
        own = [
            name
            for name in modules
            if importlib.util.find_spec(package).submodule_search_locations
            and importlib.util.find_spec(name)
        ]
        names.update(own or [package])
    return sorted(names)


def test_what_reads_tables_does_not_wait_for_tensorflow(root, tmp_path):
    """The Snakefile imports these again in every job on a cluster."""
    light = [
        "degu",
        *snakefile_imports(root),
        *("degu.attribution.methods", "degu.models.registry", "degu.plots.catalogue"),
        *("degu.dataset", "degu.dataset.distillation", "degu.io.predictions", "degu.io.summary"),
        *("degu.metrics", "degu.plots.performance", "degu.models", "degu.study.figures"),
    ]
    assert {"degu.study.study", "degu.study.inputs", "degu.ops.slurm"} <= set(light)
    process = run_python(IMPORTS, *light, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout) == {name: [] for name in light}


def test_the_package_never_imports_snakemake(root):
    sources = sorted((root / "src" / "degu").rglob("*.py"))
    assert len(sources) > 20
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Name):
                names = [node.id]  # the object that scripts of rules are given
            else:
                continue
            assert not [n for n in names if n.split(".")[0] == "snakemake"], path


def test_links_between_documents_lead_somewhere(root):
    documents = [*root.glob("*.md"), *root.glob("*/*.md")]
    assert len(documents) >= 5
    for document in documents:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


# What a command imports of a distribution that is not the package's own.
FOREIGN = """
import importlib, json, sys
from importlib.metadata import packages_distributions
for name in sys.argv[1:]:
    importlib.import_module(name)
owners, loaded = packages_distributions(), {name.split(".")[0] for name in sys.modules}
print(json.dumps(sorted({owner for name in loaded for owner in owners.get(name, [])})))
"""


def closure(names):
    """Distributions, by normalised name, that those of some names need, themselves included."""
    waiting, seen = [canonicalize_name(name) for name in names], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        needed = map(Requirement, importlib.metadata.requires(name) or ())
        waiting += [
            canonicalize_name(r.name)
            for r in needed
            if r.marker is None or r.marker.evaluate({"extra": ""})
        ]
    return seen


def test_commands_need_nothing_of_the_workflow(root, project, tmp_path):
    """What they import is installed with the package itself, without any of its extras."""
    modules = ["degu.models.files", "degu.training.batches", "degu.calibration.forms"]
    commands = sorted((root / "src/degu/commands").glob("[!_]*.py"))
    modules += [f"degu.commands.{path.stem}" for path in commands]
    for folder in ("predict", "genomics"):
        modules += [
            f"degu.{folder}.{p.stem}" for p in (root / f"src/degu/{folder}").glob("[!_]*.py")
        ]
    assert {"degu.commands.export", "degu.predict.predictor"} <= set(modules)
    process = run_python(FOREIGN, *modules, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    found = {canonicalize_name(name) for name in json.loads(process.stdout)}
    own = {"degu", canonicalize_name(project["name"])}
    core = [Requirement(text).name for text in project["dependencies"]]
    assert {"tensorflow", "h5py", "click"} <= found
    # What others take where it lies about, and do without where it does not.
    assert found - closure(core) - own <= {"pip", "setuptools", "psutil"}


def test_help_is_there_at_once(root, tmp_path):
    """Half a second on an idle machine; so nothing heavy is imported."""
    code = "import sys; from degu.commands.main import main\n"
    code += "try: main(['--help'])\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
    process = run_python(code, cwd=tmp_path)
    assert "predict" in process.stdout
    loaded = set(process.stderr.split())
    assert "click" in loaded
    assert not loaded & {
        "tensorflow",
        "keras",
        "numpy",
        "pandas",
        "h5py",
        "scipy",
        "pyarrow",
        "pysam",
    }
