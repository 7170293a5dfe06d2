"""degu.study.config.table: the table of keys in config/README.md."""

from __future__ import annotations

import difflib
import re
import shutil
import subprocess
import sys

import pytest
from laid_over import ROOT, checked

from degu.errors import InputError
from degu.study.config.schema import load
from degu.study.config.table import keys_table, write_table
from degu.sweep import expand_arms, pool_sizes

README = ROOT / "config" / "README.md"


class TestReadme:
    def test_table_of_keys_is_that_of_the_schema(self, tmp_path):
        made = tmp_path / "README.md"
        shutil.copy(README, made)
        write_table(made)
        drift = "\n".join(
            difflib.unified_diff(
                README.read_text().splitlines(),
                made.read_text().splitlines(),
                "config/README.md",
                "made from the schema",
                lineterm="",
                n=0,
            )
        )
        assert not drift, f"run `python -m degu.study.config config/README.md`\n{drift}"

    def test_command(self, tmp_path):
        readme = tmp_path / "README.md"
        readme.write_text("before\n<!-- keys -->\nan old table\n<!-- /keys -->\nafter\n")
        subprocess.run([sys.executable, "-m", "degu.study.config", readme], check=True)
        text = readme.read_text()
        assert text.startswith("before\n<!-- keys -->\n")
        assert text.endswith("\n<!-- /keys -->\nafter\n")
        assert "an old table" not in text
        assert keys_table() in text

    def test_missing_markers(self, tmp_path):
        readme = tmp_path / "README.md"
        readme.write_text("<!-- keys -->\n")
        with pytest.raises(InputError, match=r"README\.md: has no lines .*; add them"):
            write_table(readme)
        assert readme.read_text() == "<!-- keys -->\n"

    def test_table_shows_both_defaults(self):
        rows = {
            cells[0]: cells[1:]
            for line in keys_table().splitlines()
            if (cells := [cell.strip() for cell in line.strip("|").split("|")])
        }
        epochs = load()["properties"]["training"]["default-simulate"]["epochs"]
        assert rows["`training.epochs`"][:3] == [
            "whole number, at least 1",
            "`100`",
            f"`{epochs}`",
        ]
        assert rows["`student_training.lr_factor`"][1:3] == ["`0.2`", ""]
        assert rows["`data.path` (table)"][1] == "required"
        assert rows["`targets`"][1:3] == [
            "`[Dev, Hk]` with `source: deepstarr`; otherwise required",
            "`[Dev, Hk]`",
        ]
        assert all(len(cells) == 4 and cells[-1] for cells in rows.values())

    def test_every_example_is_valid(self):
        examples = re.findall(r"^```yaml\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
        assert len(examples) == 5
        configs = [checked(example) for example in examples]
        assert [config["data"]["source"] for config in configs] == [
            "table",
            "deepstarr",
            "table",
            "table",
            "table",
        ]
        # What the README says of the sweep.
        assert sum(pool_sizes(expand_arms(configs[2]["arms"])).values()) == 25 + 10 + 10
