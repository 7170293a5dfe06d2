"""Effects of substitutions equal a loop that mutates strings and predicts each mutant."""

import math

import keras
import numpy as np
import pytest
from tiny_models import LENGTH, TARGETS, codes, save, student

from degu.predict.predictor import Predictor
from degu.predict.scan import scan
from degu.sequences import decode, from_codes, one_hot
from degu.uncertainty import logvar_to_std, std_of_difference

T = len(TARGETS)


def predicted(path, text):
    """Columns that Keras predicts of one string."""
    model = keras.models.load_model(path, compile=False)
    return model(one_hot([text]).astype(np.float32), training=False).numpy()[0].astype(float)


def by_hand(paths, x, where, uncertain=None, rho=0.0):
    """{(row, position, base): (effects (T,), stds (T,))} of every substitution."""
    found = {}
    for i, text in enumerate(decode(from_codes(x))):
        before = [predicted(path, text) for path in paths]
        for position, old in enumerate(text):
            if old == "N" or not where[i, position]:
                continue
            for b, base in enumerate("ACGT"):
                if base == old:
                    continue
                mutant = text[:position] + base + text[position + 1 :]
                after = [predicted(path, mutant) for path in paths]
                effects = [a[:T] - r[:T] for a, r in zip(after, before, strict=True)]
                stds = [math.nan] * T
                if uncertain:
                    pairs = [
                        (uncertain(r[T:]), uncertain(a[T:]))
                        for r, a in zip(before, after, strict=True)
                    ]
                    stds = [
                        math.sqrt(
                            sum(r[t] ** 2 + a[t] ** 2 - 2 * rho * r[t] * a[t] for r, a in pairs)
                            / len(pairs)
                        )
                        for t in range(T)
                    ]
                elif len(paths) > 1:
                    centre = [sum(e[t] for e in effects) / len(paths) for t in range(T)]
                    stds = [
                        math.sqrt(sum((e[t] - centre[t]) ** 2 for e in effects) / len(paths))
                        for t in range(T)
                    ]
                found[i, position, b] = np.mean(effects, axis=0), stds
    return found


def check(made, expected, x):
    asked = np.zeros((*x.shape, 4), bool)
    for place, (effect, std) in expected.items():
        asked[place] = True
        np.testing.assert_allclose(made.effect[place], effect, atol=2e-6)
        if made.std is not None:
            np.testing.assert_allclose(made.std[place], std, atol=2e-6)
    assert np.abs(made.effect[asked]).max() > 0.01
    # The base that is there, unknown ones, and positions that were left out.
    assert np.isnan(made.effect[~asked]).all()
    assert made.std is None or np.isnan(made.std[~asked]).all()


@pytest.fixture(scope="module")
def x():
    return codes(2, letters=5)


@pytest.fixture(scope="module")
def where():
    where = np.ones((2, LENGTH), bool)
    where[1, :20] = False
    return where


def test_an_ensemble_has_the_std_of_paired_members(tmp_path, x, where):
    paths = [save(tmp_path / f"{i}_tiny.h5") for i in (1, 2, 3)]
    made = scan(Predictor.open(paths), x, where)
    assert made.effect.shape == made.std.shape == (2, LENGTH, 4, T)
    check(made, by_hand(paths, x, where), x)


def test_one_teacher_has_no_std(tmp_path, x, where):
    path = save(tmp_path / "1_tiny.h5")
    made = scan(Predictor.open([path]), x, where)
    assert made.std is None
    check(made, by_hand([path], x, where), x)


@pytest.mark.parametrize(("kind", "rho"), [("std", 0.0), ("std", 0.9), ("logvar", 0.5)])
def test_students_combine_the_stds_of_sequence_and_mutant(tmp_path, x, where, kind, rho):
    # Log variances of a few, so that stds are far above the floor.
    paths = [student(tmp_path / f"{i}_tiny.h5", kind) for i in (1, 2)]
    uncertain = {"std": lambda v: np.maximum(v, 1e-3), "logvar": logvar_to_std}[kind]
    made = scan(Predictor.open(paths), x, where, rho=rho)
    check(made, by_hand(paths, x, where, uncertain, rho), x)
    assert np.nanmax(made.std) > 0.01


def test_both_strands_of_sequence_and_mutant_are_averaged(tmp_path, x, where):
    predictor = Predictor.open([save(tmp_path / f"{i}_tiny.h5") for i in (1, 2)])
    made = scan(predictor, x, where, both_strands=True)
    there = x[0, 0] if x[0, 0] < 4 else None
    assert there is not None
    base = (there + 1) % 4
    mutant = x[:1].copy()
    mutant[0, 0] = base
    pair = [predictor.estimate(c, both_strands=True).mean[0] for c in (x[:1], mutant)]
    np.testing.assert_allclose(made.effect[0, 0, base], pair[1] - pair[0], atol=1e-6)
    assert np.abs(scan(predictor, x, where).effect[0, 0, base] - (pair[1] - pair[0])).max() > 1e-4


def test_progress_counts_mutants(tmp_path, x, where, monkeypatch):
    monkeypatch.setattr("degu.predict.scan.MUTANTS", 50)
    told = []
    predictor = Predictor.open([save(tmp_path / "1_tiny.h5")])
    made = scan(predictor, x, where, progress=told.append)
    asked = int((where & (x < 4)).sum())
    assert sum(told) == 3 * asked
    assert set(told[:-1]) == {50}
    assert np.isfinite(made.effect).sum() == 3 * asked * T


@pytest.mark.parametrize(
    ("first", "second", "rho", "expected"),
    [(3, 4, 0, 5), (3, 4, 1, 1), (3, 4, -1, 7), (0.1, 0.1, 1, 0), (1, 1, 0.5, 1)],
)
def test_the_std_of_a_difference(first, second, rho, expected):
    found = std_of_difference(np.array([first]), np.array([second]), rho)
    np.testing.assert_allclose(found, [expected], atol=1e-7)
