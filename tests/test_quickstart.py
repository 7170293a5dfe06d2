"""The Quick Start of the method's first document, run as it stands."""

import re

import numpy as np
import pytest
from conftest import motif_activity, random_one_hot, shared_file


@pytest.mark.long
@pytest.mark.ci
def test_quick_start_runs_verbatim(tmp_path, monkeypatch):
    text = shared_file("seeds/000_*.txt").read_text()
    section = text[text.index("## Quick Start") :]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL).group(1)
    assert "load_your_data()" in code
    namespace = {}
    for name, n in (("train", 128), ("valid", 32), ("test", 32)):
        namespace[f"x_{name}"] = x = random_one_hot(n, 32, seed=n)
        namespace[f"y_{name}"] = motif_activity(x, 2)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "Quick Start", "exec"), namespace)

    assert len(list(tmp_path.glob("model_ensemble_*.weights.h5"))) == 10
    assert (tmp_path / "model_distilled.weights.h5").is_file()
    assert namespace["predictions"].shape == namespace["uncertainties"].shape == (32, 2)
    assert len(namespace["standard_results"]) == 10
    assert set(namespace["ensemble_results"]) == {"MSE", "Pearson", "Spearman"}
    assert namespace["student_pred"].shape == namespace["y_ensemble"].shape == (32, 4)
    assert namespace["student_results"]["Pearson"].shape == (4,)
    expected = np.hstack([namespace["predictions"], namespace["uncertainties"]])
    np.testing.assert_allclose(namespace["y_ensemble"], expected, rtol=1e-6)
