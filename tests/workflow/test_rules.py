"""What every rule must declare, read from the rules themselves."""

import re

import pytest
from snakemake_runs import ROOT

TEXT = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
BLOCKS = dict(
    re.findall(r"^ *rule (\w+):\n(.*?)(?=^ *(?:rule|use rule) |\Z)", TEXT, re.DOTALL | re.MULTILINE)
)
NEWS = ("plan", "status")  # print, and make nothing
VARIANTS = re.findall(r"^use rule (\w+) as (\w+) with:\n", TEXT, re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in BLOCKS if name not in NEWS])
def test_every_rule_declares_all_that_it_needs(name):
    block = BLOCKS[name]
    for directive in ("output", "log", "benchmark", "conda", "threads", "resources", "script"):
        assert re.search(rf"^ +{directive}:", block, re.MULTILINE), directive
    kind = re.search(r'^ +gpu=RESOURCES\["(train|predict|light)"\]\["gpu"\],$', block, re.MULTILINE)
    assert f'        **REQUESTS["{kind[1]}"],\n' in block
    for section in ("input", "output"):
        found = re.search(rf"^( +){section}:\n((?:\1 +.*\n)+)", block, re.MULTILINE)
        if found:
            first = found.group(2).strip().splitlines()
            first = next(line for line in first if not line.strip().startswith("#"))
            assert re.match(r"\s*\w+=", first), f"{section} of {name} is not named"


@pytest.mark.parametrize("name", BLOCKS)
def test_every_rule_calls_the_small_script_of_its_name(name):
    assert f'"../workflow/scripts/{name}.py"' in BLOCKS[name]
    script = (ROOT / f"workflow/scripts/{name}.py").read_text()
    assert len(script.splitlines()) < 70
    assert name in NEWS or "job_log(snakemake.log[0])" in script


def test_variants_have_logs_and_benchmarks_of_their_own():
    assert len(VARIANTS) == 18
    assert {base for base, _ in VARIANTS} <= set(BLOCKS)
    for _, name in VARIANTS:
        assert f"{{LOGS}}/{name}/" in TEXT
        assert f"{{BENCHMARKS}}/{name}/" in TEXT


def test_no_script_without_a_rule():
    scripts = {path.stem for path in (ROOT / "workflow/scripts").glob("*.py")}
    assert scripts == set(BLOCKS)


def test_rule_files_stay_short():
    for path in (ROOT / "rules").glob("*.smk"):
        assert len(path.read_text().splitlines()) <= 150, path.name
