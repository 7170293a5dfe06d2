"""The registry of attribution methods."""

import subprocess
import sys

import pytest

from degu.attribution.methods import METHODS, Method, find, in_order, register, registered
from degu.errors import InputError

SECTION = {"references": 20, "hypothetical": True, "methods": ["shap"], "top_n": 5}
DUMMY = Method("dummy", "a\ndummy", "nowhere:nothing", "sum", {"top_n": "steps"})


def test_a_method_takes_what_it_goes_by_and_nothing_else():
    taken = {name: method.settings_of(SECTION) for name, method in METHODS.items()}
    of_shap = {"k": 20, "hypothetical": True}
    assert taken == {"saliency": {}, "shap": of_shap, "shap_dinuc_shuffle": of_shap, "ism": {}}
    assert DUMMY.settings_of(SECTION) == {"steps": 5}
    with pytest.raises(KeyError):
        DUMMY.settings_of({})


def test_importance_is_as_it_was_published():
    rules = {name: method.importance for name, method in METHODS.items()}
    deepshap = dict.fromkeys(("shap", "shap_dinuc_shuffle"), "sum")
    assert rules == {"saliency": "observed", "ism": "observed", **deepshap}


def test_what_is_not_registered_is_an_error():
    message = "no attribution method 'dummy'; use one of saliency, shap, shap_dinuc_shuffle, ism"
    for look in (find, lambda name: in_order(["ism", name])):
        with pytest.raises(InputError, match=message):
            look("dummy")
    with registered(DUMMY):
        assert find("dummy") is DUMMY
        assert DUMMY.title == "a dummy"
        assert in_order(["dummy", "ism", "saliency", "ism"]) == ["saliency", "ism", "dummy"]
        with pytest.raises(ValueError, match="dummy already"):
            register(DUMMY)
    assert "dummy" not in METHODS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "my/method"}, "no name for files"),
        ({"name": ""}, "no name for files"),
        ({"importance": "mean"}, "importance is one of sum, observed, not 'mean'"),
    ],
)
def test_a_method_that_cannot_be_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Method(**{"name": "a", "label": "a", "maker": "a:a", "importance": "sum", **change})


def test_every_maker_is_there():
    from importlib import import_module

    for method in METHODS.values():
        module, function = method.maker.split(":")
        assert callable(getattr(import_module(module), function))


def test_the_registry_is_light():
    code = (
        "import sys, degu.attribution.methods\n"
        "assert not {'tensorflow', 'keras', 'matplotlib', 'h5py'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
