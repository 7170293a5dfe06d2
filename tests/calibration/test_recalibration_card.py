"""The file of a recalibration: read exactly, or refused in one sentence."""

import json
import os
import random
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from degu.calibration import recalibration
from degu.calibration.laws import STD_FLOOR, Gaussian
from degu.calibration.recalibration import (
    Conformal,
    Isotonic,
    Mondrian,
    Recalibration,
    variance_scaling,
)
from degu.errors import InputError


def fitted(seed=0, n=30, targets=("Dev", "Hk"), **changes):
    """A card of targets of different noise."""
    rng = np.random.default_rng(seed)
    repairs = {"scaling": [], "isotonic": [], "conformal": [], "mondrian": []}
    for _ in targets:
        mean, std = rng.normal(size=n), rng.uniform(0.1, 2, n)
        y = mean + 2 * std * rng.normal(size=n)
        law = Gaussian(mean, std)
        repairs["scaling"].append(variance_scaling(law, y))
        repairs["isotonic"].append(Isotonic.fit(law, y))
        repairs["conformal"].append(Conformal.fit(mean, std, y))
        repairs["mondrian"].append(Mondrian.fit(mean, std, y))
    made = Recalibration(
        targets=tuple(targets),
        variance="total",
        n_validation=n,
        aleatoric=(0.1 + 0.2, None)[: len(targets)],
        std_floor=STD_FLOOR,
        model_sha256="0a" * 32,
        dataset_sha256="f1" * 32,
        **{name: tuple(values) for name, values in repairs.items()},
    )
    return replace(made, **changes)


CARD = fitted()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "1_recalibration.json"
    CARD.write(path)
    return path


def test_what_was_written_is_read_exactly(path):
    read = Recalibration.read(path)
    assert read == CARD
    assert read.aleatoric == (0.30000000000000004, None)
    for own, other in zip(read.mondrian, CARD.mondrian, strict=True):
        np.testing.assert_array_equal(own.half_widths(0.8), other.half_widths(0.8))
    assert read.conformal[1].scores.dtype == np.float32
    assert not list(path.parent.glob(".writing-*"))
    before = path.read_bytes()
    read.write(path)
    assert path.read_bytes() == before


@given(seed=st.integers(0, 2**32), n=st.integers(1, 60), one=st.booleans())
@settings(max_examples=25)
def test_any_fit_is_read_exactly(tmp_path_factory, seed, n, one):
    card = fitted(seed, n, ("α β",) if one else ("Dev", "Hk"))
    path = tmp_path_factory.mktemp("cards") / "card.json"
    card.write(path)
    assert Recalibration.read(path) == card


@pytest.mark.parametrize("name", [field.name for field in fields(Recalibration)])
def test_cards_that_differ_are_not_equal(name):
    other = fitted(1)
    values = {
        "targets": ("Hk", "Dev"),
        "variance": "epistemic",
        "n_validation": 31,
        "aleatoric": (0.0, None),
        "std_floor": 0.5,
        "model_sha256": "00" * 32,
        "dataset_sha256": "00" * 32,
    }
    assert replace(CARD, **{name: values.get(name, getattr(other, name))}) != CARD
    assert fitted() == CARD
    assert fitted() != "a card"


def test_what_could_not_be_read_is_not_written(tmp_path):
    path = tmp_path / "card.json"
    for changes in (
        {"variance": "both"},
        {"model_sha256": "short"},
        {"scaling": (np.nan, 1.0)},
        {"std_floor": 0.0},
        {"n_validation": 3},
        {"targets": ("Dev", "Dev")},
        {"targets": ("Dev",)},
    ):
        with pytest.raises(ValueError, match=r"This recalibration|argument") as caught:
            replace(CARD, **changes).write(path)
        assert not isinstance(caught.value, InputError)
        assert not path.exists()


# Files from anywhere. A person may take the hash out; what the file holds is then looked at alone.


def changed(where, value):
    """The file's text without its hash, with something else in one place; ... takes it out."""
    content = CARD._content()
    part = content
    for key in where[:-1]:
        part = part[key]
    if value is ...:
        del part[where[-1]]
    else:
        part[where[-1]] = value
    return json.dumps(content)


TARGET = ("targets", 0)
SCORES = [0.5] * 5
BAD = {
    "format": (("format",), 2, "format"),
    "no-format": (("format",), ..., "wrong keys in its whole"),
    "a-key-too-many": (("more",), 1, "wrong keys in its whole"),
    "variance": (("variance",), "all", "wrong value in variance"),
    "hash": (("model_sha256",), "0a" * 32 + "\n", "wrong value in model_sha256"),
    "hash-of-capitals": (("dataset_sha256",), "0A" * 32, "wrong value in dataset_sha256"),
    "no-sequences": (("n_validation",), 0, "wrong value in n_validation"),
    "half-sequences": (("n_validation",), 30.5, "wrong value in n_validation"),
    "fewer-sequences": (("n_validation",), 29, "between 1 and 29"),
    "floor": (("std_floor",), 0, "wrong value in std_floor"),
    "floor-true": (("std_floor",), True, "wrong value in std_floor"),
    "no-targets": (("targets",), [], "wrong value in targets"),
    "targets-named-alone": (("targets",), ["Dev"], "wrong value in targets/0"),
    "name": ((*TARGET, "name"), "", "targets/0/name"),
    "twice": ((*TARGET, "name"), "Hk", "target twice"),
    "aleatoric": ((*TARGET, "aleatoric_variance"), -1e-9, "targets/0/aleatoric_variance"),
    "no-aleatoric": ((*TARGET, "aleatoric_variance"), ..., "wrong keys in targets/0"),
    "scaling": ((*TARGET, "scaling"), 0, "targets/0/scaling"),
    "endless-scaling": ((*TARGET, "scaling"), 10**400, "too large|OverflowError"),
    "isotonic-scaling": ((*TARGET, "isotonic", "scaling"), -1, "isotonic/scaling"),
    "isotonic-lengths": ((*TARGET, "isotonic", "law"), [0, 0.5, 1], "from 0 to 1"),
    "isotonic-ends": ((*TARGET, "isotonic", "observed", 0), 0.001, "from 0 to 1"),
    "isotonic-end": ((*TARGET, "isotonic", "law", -1), 0.999, "from 0 to 1"),
    "isotonic-none": ((*TARGET, "isotonic"), {"scaling": 1, "law": [], "observed": []}, "0 to 1"),
    "isotonic-falls": ((*TARGET, "isotonic", "law", 5), 0.0, "monotone"),
    "isotonic-stays": (
        (*TARGET, "isotonic"),
        {"scaling": 1, "law": [0, 0.2, 0.3, 1], "observed": [0, 0.5, 0.5, 1]},
        "monotone",
    ),
    "isotonic-words": ((*TARGET, "isotonic", "law", 5), "0.5", "where a number is needed"),
    "scores-true": ((*TARGET, "conformal", "scores", 0), False, "where a number is needed"),
    "scores-nested": ((*TARGET, "conformal", "scores", 0), [0.1], "where a number is needed"),
    "no-scores": ((*TARGET, "conformal", "scores"), [], "between 1 and 30"),
    "scores-negative": ((*TARGET, "conformal", "scores", 0), -0.1, "negative or not sorted"),
    "scores-unsorted": ((*TARGET, "conformal", "scores", 3), 0.0, "negative or not sorted"),
    "scores-float32": ((*TARGET, "conformal", "scores", -1), 1e39, "float32 can hold"),
    "edges": ((*TARGET, "mondrian", "edges", 1), -1e9, "do not rise"),
    "edges-few": ((*TARGET, "mondrian", "edges"), [0.1], "do not fit"),
    "bins-many": ((*TARGET, "mondrian", "scores"), [SCORES * 2] * 4, "do not fit"),
    "bins-empty": ((*TARGET, "mondrian", "scores", 2), [], "between 1 and 30"),
    "bins-flat": ((*TARGET, "mondrian", "scores"), SCORES, "mondrian/scores/0"),
}


def refused(path):
    with pytest.raises(InputError) as caught:
        Recalibration.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path} ")
    assert message.endswith(".")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", BAD)
def test_malformed_files_are_refused_by_name(path, name):
    where, value, sentence = BAD[name]
    path.write_text(changed(where, value))
    message = refused(path)
    assert any(part in message for part in sentence.split("|")), message


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ('{"format": NaN}', "holds NaN"),
        ('{"format": 1, "format": 1}', "a key twice"),
        ("[1]", "wrong value in its whole"),
        ("null", "wrong value in its whole"),
        ("9" * 5000, "is no JSON"),
    ],
)
def test_other_texts_are_refused(path, text, sentence):
    path.write_text(text)
    assert sentence in refused(path)


def test_other_files_are_refused(path, monkeypatch):
    assert "cannot be read" in refused(path.parent / "none.json")
    assert "cannot be read" in refused(path.parent)
    path.write_bytes(b"\xff\xfe{}")
    assert "is no JSON" in refused(path)
    monkeypatch.setattr(recalibration, "_LARGEST", 3)
    assert "too large" in refused(path)


def test_a_changed_digit_is_seen(path):
    text = path.read_text()
    path.write_text(text.replace('"n_validation": 30', '"n_validation": 31'))
    assert "SHA-256 differs" in refused(path)
    # Without the hash the same is a valid card.
    path.write_text(changed(("n_validation",), 31))
    assert Recalibration.read(path).n_validation == 31


TEXT = json.dumps(CARD._content() | {"sha256": recalibration._digest(CARD._content())}, indent=1)
UNSEALED = json.dumps(CARD._content(), indent=1)
WORDS = ["0", "1", "-1", "1e999", "NaN", "null", "true", '""', "[]", "{}", ",", '"Dev"', "0.5"]


def mutated(text, seed):
    """Some faults: characters that are dropped, doubled or exchanged, and words in between."""
    rng = random.Random(seed)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at, length = rng.randrange(len(text)), rng.choice([1, 1, 2, 30])
        new = rng.choice(
            ["", text[at : at + length] * 2, rng.choice(WORDS), chr(rng.randrange(256))]
        )
        text = text[:at] + new + text[at + length :]
    return text


def read_or_refused(path):
    """The card, or None if it was refused by name."""
    try:
        return Recalibration.read(path)
    except InputError as error:
        message = str(error)
    assert message.startswith(f"{path} ")
    return None


@given(seed=st.integers(0, 2**64))
@settings(max_examples=250)
def test_damaged_files_are_refused_or_read_right(tmp_path_factory, seed):
    path = tmp_path_factory.getbasetemp() / f"damaged-{os.getpid()}.json"
    path.write_text(mutated(TEXT, seed))
    card = read_or_refused(path)
    assert card in (CARD, None)


@given(seed=st.integers(0, 2**64))
@settings(max_examples=250)
def test_changed_files_without_a_hash_are_refused_or_valid(tmp_path_factory, seed):
    """What is read can be used, and written again."""
    path = Path(tmp_path_factory.getbasetemp() / f"changed-{os.getpid()}.json")
    path.write_text(mutated(UNSEALED, seed))
    card = read_or_refused(path)
    if card is None:
        return
    card.write(path)
    assert Recalibration.read(path) == card
    law = Gaussian(np.zeros(3), np.ones(3))
    for isotonic, conformal, mondrian in zip(
        card.isotonic, card.conformal, card.mondrian, strict=True
    ):
        for lower, upper in (
            isotonic.interval(law, 0.9),
            conformal.interval(law.mean, law.std, 0.9),
            mondrian.interval(law.mean, law.std, 0.9),
        ):
            assert (lower <= upper).all()
