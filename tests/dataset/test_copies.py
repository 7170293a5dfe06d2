"""Augmented copies: what each is a function of, what is done to it, and its labels."""

import json

import h5py
import numpy as np
import pytest
from conftest import random_one_hot
from hypothesis import given
from hypothesis import strategies as st

from degu.dataset.copies import Copier, read_labels, write_labels
from degu.errors import InputError
from degu.heads import Heads
from degu.sequences import base_codes, from_codes
from degu.uncertainty import std_to_logvar

HEADS = Heads.student(("Dev", "Hk"), "std")
ARM = {"augmentation": "standard", "proportion": 1, "size": 3}


@given(st.integers(1, 2500), st.integers(0, 2**31), st.integers(1, 4), st.data())
def test_a_copy_depends_on_seed_row_and_number_alone(n, seed, number, data):
    x = random_one_hot(n, 24)
    copier = Copier(seed)
    all_of_them = copier.copy(x, number)
    some = data.draw(st.integers(1, n))
    np.testing.assert_array_equal(copier.copy(x[:some], number), all_of_them[:some])
    row = data.draw(st.integers(0, n - 1))
    others = random_one_hot(n, 24, seed=1)
    others[row] = x[row]
    np.testing.assert_array_equal(copier.copy(others, number)[row], all_of_them[row])


def test_copies_differ_by_seed_row_and_number():
    x = np.repeat(random_one_hot(1, 60), 1100, axis=0)
    copies = [Copier(seed).copy(x, number) for seed in (1, 2) for number in (1, 2)]
    assert len(np.unique(np.concatenate(copies), axis=0)) > 0.9 * 4 * 1100


def test_each_copy_gets_two_of_three_changes():
    """With augmentations of a fixed size, what each did can be told from where bases are."""
    n, length = 3000, 60
    x = random_one_hot(n, length)
    given = base_codes(x)
    parameters = {
        "translocation": {"min_shift": 20, "max_shift": 20},
        "inversion": {"min_length": 60, "max_length": 60},
        "reverse_complement": {"probability": 1},
    }
    copier = Copier(5, 1, tuple(parameters), 2, parameters)
    copy = copier.copy(x, 1)
    turned = 3 - given[:, ::-1]
    # The other strand is the whole sequence inverted, so two of the three are one of these.
    both = {
        "inverted twice": given,
        "inverted, rolled left": np.roll(turned, 20, axis=1),
        "inverted, rolled right": np.roll(turned, -20, axis=1),
    }
    found = np.array([(copy == expected).all(axis=1) for expected in both.values()])
    assert found.any(axis=0).all()
    # Each pair of changes is as likely; a share's standard error is 0.009.
    shares = found.mean(axis=1)
    assert abs(shares[0] - 1 / 3) < 0.03
    assert np.abs(shares[1:] - 1 / 3).max() < 0.03


def test_unknown_bases_stay_unknown():
    x = random_one_hot(200, 30)
    x[:, 10] = 0
    copier = Copier(1, 1, ("translocation",), 1)
    assert ((copier.copy(x, 1) == 4).sum(axis=1) == 1).all()
    np.testing.assert_array_equal(base_codes(from_codes(base_codes(x))), base_codes(x))


def test_settings_make_the_same_copier_after_json():
    copier = Copier(3, 2, parameters={"deletion": {"min_length": 1, "max_length": 5}})
    again = Copier.of(json.loads(json.dumps(copier.settings)))
    x = random_one_hot(50, 24)
    np.testing.assert_array_equal(copier.copy(x, 2), again.copy(x, 2))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"augmentations": ("noise",)}, "distillation.augmentations: noise"),
        ({"augmentations": ("deletoin",)}, "distillation.augmentations: 'deletoin'"),
        ({"per_sequence": 4}, "distillation.per_sequence: 4"),
        ({"parameters": {"deletion": {"size": 1}}}, "distillation.parameters: deletion"),
        ({"copies": 0}, "distillation.copies: 0"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(settings, words):
    with pytest.raises(InputError, match=words):
        Copier(1, **settings)


def test_sequences_that_are_too_short_are_refused_by_its_key():
    with pytest.raises(InputError, match=r"distillation.parameters: \w+ has max_length 20"):
        Copier(1).copy(random_one_hot(50, 12), 1)


@pytest.fixture
def labels(tmp_path):
    rng = np.random.default_rng(0)
    mean = rng.normal(1000, 3, (500, 4, 2)).astype(np.float32)
    std = rng.gamma(2, 0.01, (500, 4, 2)).astype(np.float32)
    path = tmp_path / "copies.h5"
    write_labels(path, mean, std, heads=HEADS, copier=Copier(7), dataset_sha256="ab", **ARM)
    return path, mean, std


def test_labels_are_read_as_they_were_but_for_a_part_of_their_spread(labels):
    path, mean, std = labels
    y, heads = read_labels(path, n=500, copier=Copier(7), dataset_sha256="ab", **ARM)
    assert heads == HEADS
    for got, wanted in ((y[..., :2], mean), (y[..., 2:], std)):
        assert np.abs(got - wanted).max() <= wanted.std((0, 1)).max() * 2.0**-13
    log, heads = read_labels(path, uncertainty="logvar")
    np.testing.assert_array_equal(log[..., 2:], std_to_logvar(y[..., 2:]))
    assert heads == Heads.student(("Dev", "Hk"), "logvar")


def test_a_std_that_is_small_keeps_its_logarithm(tmp_path):
    """Two members may agree by chance to any number of digits, beside stds of a wide spread."""
    std = np.geomspace(1e-6, 10, 2000, dtype=np.float32).reshape(500, 4, 1)
    std[0, 0] = 0
    mean = np.zeros_like(std)
    heads = Heads.student(("Dev",), "std")
    write_labels(
        tmp_path / "a.h5", mean, std, heads=heads, copier=Copier(7), dataset_sha256="ab", **ARM
    )
    y, _ = read_labels(tmp_path / "a.h5", uncertainty="logvar")
    # Half a step, of 2⁻⁸ of the power of two below, is 0.2% of a std, so 0.004 of a log variance.
    np.testing.assert_allclose(y[..., 1:], std_to_logvar(std), atol=0.0041)


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ({"copier": Copier(8)}, "another copies"),
        ({"copier": Copier(7, 3)}, "another copies"),
        ({"dataset_sha256": "cd"}, "another data set"),
        ({"n": 499}, "has shape"),
        ({"size": 2}, "size 3, where 2"),
    ],
)
def test_labels_of_something_else_are_refused(labels, expected, words):
    with pytest.raises(InputError, match=words):
        read_labels(labels[0], **expected)


def test_labels_that_no_ensemble_gives_are_refused(labels):
    with h5py.File(labels[0], "r+") as file:
        file["y"][0, 0, 2] = -1
    with pytest.raises(InputError, match="negative std"):
        read_labels(labels[0])
