"""Shifted sequences have the properties of their kind; numbers on them match a plain twin."""

import json
from collections import Counter
from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest
from conftest import motif_activity, random_one_hot, run_python
from scipy import stats

from degu.augment import RandomMutation, RandomShuffle
from degu.dataset import Split, read_info, write_dataset
from degu.errors import InputError
from degu.heads import Heads
from degu.io.card import Card
from degu.io.predictions import write_predictions
from degu.io.summary import COLUMNS
from degu.sequences import decode
from degu.shift import sequences as shift_module
from degu.shift.scores import (
    assay_rows,
    ensemble_shift,
    evaluate_shift,
    predicted_activities,
)
from degu.shift.sequences import SHIFTS, read_shift, read_shift_info, write_shift
from degu.sweep import derive_seed

N, LENGTH = 50, 120
SETTINGS = {"kinds": list(SHIFTS), "copies": 2, "mutagenesis": 0.05, "per_sequence": 2}
EVOAUG = {
    "augmentations": ["deletion", "translocation", "mutation"],
    "per_batch": 1,
    "hard": True,
    "parameters": {"deletion": {"min_length": 0, "max_length": 20}},
}


def make_dataset(path, ids=True, seed=0):
    """A data set whose test sequences have a few unknown bases."""
    splits = {}
    for i, (name, n) in enumerate({"Train": 30, "Val": 10, "Test": N}.items()):
        x = random_one_hot(n, LENGTH, seed=10 * seed + i)
        y = motif_activity(x, 2)
        if name == "Test":
            x[::7, 5:9] = 0
        labels = np.array([f"{name}_{j}" for j in range(n)]) if ids else None
        splits[name] = Split(x, y, id=labels)
    write_dataset(path, splits, targets=("Dev", "Hk"), source="test")
    return splits["Test"]


def make_shift(path, dataset, *, evoaug=EVOAUG, seed=1, **changes):
    write_shift(path, dataset, settings=SETTINGS | changes, evoaug=evoaug, seed=seed)
    return path


def arrays(path):
    """Every array of an HDF5 file, as plain h5py reads it."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[:]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("shift")


@pytest.fixture(scope="module")
def test_set(folder):
    return make_dataset(folder / "dataset.h5")


@pytest.fixture(scope="module")
def shift_file(folder, test_set):
    return make_shift(folder / "shift.h5", folder / "dataset.h5")


# The file


def test_the_layout_as_plain_h5py_sees_it(folder, test_set, shift_file):
    with h5py.File(shift_file) as file, h5py.File(folder / "dataset.h5") as dataset:
        assert set(file) == {"small", "moderate", "large", "dinucleotide"}
        for group in file.values():
            assert set(group) == {"X", "index", "copy", "id"}
            assert group["X"].shape == (2 * N, LENGTH, 4)
            assert group["X"].dtype == np.uint8
            np.testing.assert_array_equal(group["index"][:], [*range(N), *range(N)])
            np.testing.assert_array_equal(group["copy"][:], [1] * N + [2] * N)
            assert group["id"].asstr()[:].tolist() == [f"Test_{i}" for i in range(N)] * 2
            assert group.attrs["description"]
            stored = dataset["Test/X"]
            assert (group["X"].compression, group["X"].compression_opts) == (
                stored.compression,
                stored.compression_opts,
            )
            assert group["X"].chunks == (2 * N, LENGTH, 4)
        assert file.attrs["dataset_sha256"] == dataset.attrs["sha256"]
        assert json.loads(file.attrs["settings"]) == SETTINGS


def test_what_is_read_is_what_is_there(folder, test_set, shift_file):
    sha256 = read_info(folder / "dataset.h5").sha256
    assert read_shift_info(shift_file).kinds == SHIFTS
    info = read_shift_info(shift_file, sha256)
    assert (info.copies, info.n_test, info.dataset_sha256) == (2, N, sha256)
    for kind in SHIFTS:
        x, index, copy, labels = read_shift(shift_file, kind, sha256)
        with h5py.File(shift_file) as file:
            np.testing.assert_array_equal(x, file[kind]["X"][:])
        np.testing.assert_array_equal(labels, test_set.id[index])
        np.testing.assert_array_equal(copy, np.repeat([1, 2], N))


def test_a_data_set_without_ids(tmp_path):
    make_dataset(tmp_path / "dataset.h5", ids=False)
    path = make_shift(tmp_path / "shift.h5", tmp_path / "dataset.h5", kinds=["large"])
    assert read_shift(path, "large").id is None
    assert read_shift_info(path).kinds == ("large",)


def test_the_data_set_stays_as_it_was(tmp_path):
    make_dataset(tmp_path / "dataset.h5")
    before = (tmp_path / "dataset.h5").read_bytes()
    make_shift(tmp_path / "shift.h5", tmp_path / "dataset.h5")
    assert (tmp_path / "dataset.h5").read_bytes() == before


def test_the_module_needs_no_keras(tmp_path):
    code = "import sys, degu.shift; print({'keras', 'tensorflow'} & set(sys.modules))"
    assert run_python(code, cwd=tmp_path).stdout.strip() == "set()"


# Each kind


def one_hot_rows(x):
    assert set(np.unique(x)) <= {0, 1}
    assert x.sum(axis=2).max() == 1


def test_small_mutates_the_share_that_the_config_says(folder, test_set):
    path = make_shift(
        folder / "mutated.h5", folder / "dataset.h5", kinds=["small"], mutagenesis=0.15, copies=4
    )
    shifted = read_shift(path, "small")
    one_hot_rows(shifted.x)
    source = test_set.x[shifted.index]
    changed = (shifted.x != source).any(axis=2)
    # 0.15 / 0.75 of the positions get a random base, a quarter of them the one that was there.
    known = np.delete(np.arange(4 * N), np.arange(0, N, 7)[:, None] + N * np.arange(4))
    drawn = round(0.15 / 0.75 * LENGTH)
    trials = drawn * len(known)
    assert changed.sum(axis=1).max() <= drawn
    low, high = stats.binom.interval(1 - 1e-9, trials, 0.75)
    assert low <= changed[known].sum() <= high
    # An unknown base stays unknown.
    np.testing.assert_array_equal(shifted.x.any(axis=2), source.any(axis=2))


def test_moderate_draws_its_augmentations_for_each_sequence(folder, test_set):
    """Three augmentations whose every pair can be told from the result."""
    evoaug = {
        "augmentations": ["translocation", "reverse_complement", "mutation"],
        "per_batch": 1,  # these two are for training
        "hard": False,
        "parameters": {
            "translocation": {"min_shift": 3, "max_shift": 3},
            "reverse_complement": {"probability": 1},
            "mutation": {"fraction": 0},
        },
    }
    path = make_shift(
        folder / "moderate.h5", folder / "dataset.h5", kinds=["moderate"], evoaug=evoaug, copies=6
    )
    shifted = read_shift(path, "moderate")
    pairs = Counter()
    for x, row in zip(shifted.x, shifted.index, strict=True):
        source = test_set.x[row]
        rolled = [np.roll(source, by, axis=0) for by in (-3, 3)]
        possible = {
            "roll": rolled,
            "turn": [source[::-1, ::-1]],
            "both": [r[::-1, ::-1] for r in rolled],
        }
        [pair] = [k for k, v in possible.items() if any(np.array_equal(x, w) for w in v)]
        pairs[pair] += 1
    low, high = stats.binom.interval(1 - 1e-6, 6 * N, 1 / 3)
    assert set(pairs) == {"roll", "turn", "both"}
    assert all(low <= count <= high for count in pairs.values())


def test_noise_is_kept_as_it_is(folder, test_set):
    evoaug = {"augmentations": ["noise"], "parameters": {"noise": {"std": 0.2}}}
    path = make_shift(
        folder / "noise.h5",
        folder / "dataset.h5",
        kinds=["small", "moderate"],
        evoaug=evoaug,
        per_sequence=1,
    )
    assert read_shift(path, "small").x.dtype == np.uint8
    shifted = read_shift(path, "moderate")
    assert shifted.x.dtype == np.float32
    noise = shifted.x - test_set.x[shifted.index]
    assert abs(noise.mean()) < 0.005
    assert noise.std() == pytest.approx(0.2, rel=0.02)


def test_large_keeps_the_composition_alone(test_set, shift_file):
    shifted = read_shift(shift_file, "large")
    source = test_set.x[shifted.index]
    one_hot_rows(shifted.x)
    np.testing.assert_array_equal(shifted.x.sum(axis=1), source.sum(axis=1))
    # Positions of random sequences agree by chance: a quarter of them, and a few unknown ones.
    agree = (shifted.x == source).all(axis=2).mean()
    assert 0.2 < agree < 0.3
    assert dinucleotides(shifted.x) != dinucleotides(source)


def dinucleotides(x):
    return [Counter(s[i : i + 2] for i in range(len(s) - 1)) for s in decode(x)]


def test_dinucleotide_keeps_every_dinucleotide(test_set, shift_file):
    shifted = read_shift(shift_file, "dinucleotide")
    source = test_set.x[shifted.index]
    assert dinucleotides(shifted.x) == dinucleotides(source)
    assert (shifted.x == source).all(axis=2).mean() < 0.5


@pytest.mark.parametrize("kind", ["large", "dinucleotide"])
def test_blocks_join_where_they_should(tmp_path, folder, test_set, kind, monkeypatch):
    """Blocks that end neither with the test set nor with a chunk, and a copy after them."""
    monkeypatch.setattr(shift_module, "BLOCK", 7)
    path = make_shift(tmp_path / "shift.h5", folder / "dataset.h5", kinds=[kind])
    shifted = read_shift(path, kind)
    np.testing.assert_array_equal(shifted.x.sum(axis=1), test_set.x[shifted.index].sum(axis=1))
    assert len(set(decode(shifted.x))) == 2 * N


# Seeds


def test_copies_differ_and_every_sequence_gets_its_own_draw(shift_file):
    for kind in SHIFTS:
        texts = decode(read_shift(shift_file, kind).x)
        assert len(set(texts)) == 2 * N, kind


def test_the_same_seed_gives_the_same_arrays(tmp_path, folder, shift_file):
    again = make_shift(tmp_path / "again.h5", folder / "dataset.h5")
    other = make_shift(tmp_path / "other.h5", folder / "dataset.h5", seed=2)
    expected = arrays(shift_file)
    for name, values in arrays(again).items():
        np.testing.assert_array_equal(values, expected[name])
    for kind in SHIFTS:
        assert (arrays(other)[f"{kind}/X"] != expected[f"{kind}/X"]).any()
    assert read_shift_info(again) == read_shift_info(shift_file)
    assert read_shift_info(other).sha256 != read_shift_info(shift_file).sha256


def test_each_copy_of_each_kind_has_its_own_seed(test_set, shift_file):
    """Anyone can make one copy again without the file."""
    for kind, augmentation in (("small", RandomMutation(0.05)), ("large", RandomShuffle())):
        x = read_shift(shift_file, kind).x
        for copy in (1, 2):
            rng = np.random.default_rng(derive_seed(1, "shift", kind=kind, copy=copy))
            expected = augmentation(test_set.x, rng)
            np.testing.assert_array_equal(x[(copy - 1) * N : copy * N], expected)


def test_one_more_copy_or_kind_changes_no_other(tmp_path, folder, shift_file):
    fewer = make_shift(
        tmp_path / "fewer.h5",
        folder / "dataset.h5",
        kinds=["dinucleotide", "small"],
        copies=1,
        evoaug=None,
    )
    assert read_shift_info(fewer).kinds == ("dinucleotide", "small")
    for kind in ("dinucleotide", "small"):
        np.testing.assert_array_equal(read_shift(fewer, kind).x, read_shift(shift_file, kind).x[:N])
    changed = make_shift(tmp_path / "changed.h5", folder / "dataset.h5", mutagenesis=0.5)
    before, after = arrays(shift_file), arrays(changed)
    different = {name for name in before if not np.array_equal(before[name], after[name])}
    assert different == {"small/X"}


# What is refused


def one_sentence(error, path):
    text = str(error.value)
    assert text.startswith(str(path))
    assert text.endswith(".")
    assert ". " not in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kinds": ["small", "huge"]}, r"^shift.kinds: there is no kind huge; use some of small, "),
        ({"per_sequence": 4}, r"^shift.per_sequence: 4 is more than the 3 of evoaug.augmentations"),
        ({"mutagenesis": 0.9}, "0.9; it must be a number, from 0 to 0.75"),
        (
            {"evoaug": EVOAUG | {"parameters": {"deletion": {"max_length": 500}}}},
            "max_length 500, but sequences have 120 bases",
        ),
        ({"evoaug": None}, r"^shift.per_sequence: 2 is more than the 0 of evoaug.augmentations"),
    ],
)
def test_settings_that_cannot_be_leave_no_file(tmp_path, folder, changes, words):
    with pytest.raises(InputError, match=words):
        make_shift(tmp_path / "shift.h5", folder / "dataset.h5", **changes)
    assert list(tmp_path.iterdir()) == []


def truncate(path):
    path.write_bytes(path.read_bytes()[:-3000])


def edit(change):
    def apply(path):
        with h5py.File(path, "r+") as file:
            change(file)

    return apply


def set_base(file):
    file["large/X"][3, 4] = 1 - file["large/X"][3, 4]


def set_id(file):
    file["large/id"][0] = "someone else"


def set_row(file):
    file["large/index"][0] = 1


def drop(name):
    def change(file):
        del file[name]

    return edit(change)


def attribute(name, value):
    return edit(lambda file: file.attrs.__setitem__(name, value))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.unlink(), "does not exist"),
        (truncate, "truncated"),
        (edit(set_base), "large is not as it was written"),
        (edit(set_id), "large is not as it was written"),
        (edit(set_row), "large is not as it was written"),
        (drop("large/X"), "large is not as it was written"),
        (drop("large/id"), "large is not as it was written"),
        (drop("small"), "is not a whole file of shifted sequences"),
        (attribute("settings", '{"kinds": []}'), "is not a whole file of shifted sequences"),
        (attribute("settings", "{"), "is not a whole file of shifted sequences"),
        (drop("large"), "is not a whole file of shifted sequences"),
        (attribute("dataset_sha256", "1" * 64), "is not a whole file of shifted sequences"),
        (attribute("sha256", "1" * 64), "is not a whole file of shifted sequences"),
        (edit(lambda file: file.attrs.clear()), "is not a whole file of shifted sequences"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, shift_file, damage, words):
    path = tmp_path / "shift.h5"
    path.write_bytes(shift_file.read_bytes())
    damage(path)
    with pytest.raises(InputError, match=words) as error:
        read_shift(path, "large")
    one_sentence(error, path)


def test_another_data_set_or_kind_is_refused(folder, tmp_path, shift_file):
    with pytest.raises(InputError, match="made for another data set") as error:
        read_shift(shift_file, "large", "0" * 64)
    one_sentence(error, shift_file)
    path = make_shift(tmp_path / "s.h5", folder / "dataset.h5", kinds=["large"])
    with pytest.raises(InputError, match="no sequences of the kind small, only of large") as error:
        read_shift(path, "small")
    one_sentence(error, path)
    with pytest.raises(InputError, match="not a whole file of shifted sequences"):
        read_shift_info(folder / "dataset.h5")


# What models predict

SIZE = 3
TARGETS = ("Dev", "Hk")
ARM = {"augmentation": "evoaug", "proportion": 0.25, "size": SIZE}
NAMES = ("none", *SHIFTS)
STUDENTS = (
    {"member": 1, "uncertainty": "std"},
    {"member": 2, "uncertainty": "std"},
    {"member": 1, "uncertainty": "logvar"},
    {"member": 1, "uncertainty": "std", "variant": "random_append"},
)


class Models:
    """Random predictions of three teachers and four students, and their files."""

    def __init__(self, folder, dataset, shift):
        self.folder, self.shift = folder, shift
        self.sha256 = read_info(dataset).sha256
        rng = np.random.default_rng(5)
        sizes = {name: N if name == "none" else 2 * N for name in NAMES}
        base = {name: rng.normal(1, 2, size=(n, 2)) for name, n in sizes.items()}
        self.teachers = [
            {name: (v + rng.normal(size=v.shape)).astype(np.float32) for name, v in base.items()}
            for _ in range(SIZE)
        ]
        self.students = []
        for identity in STUDENTS:
            predictions = {}
            for name, values in base.items():
                mean = values + rng.normal(size=values.shape)
                std = rng.uniform(-0.1, 2, size=values.shape)  # a std head may go below zero
                if identity["uncertainty"] == "logvar":
                    # So far apart that their stds differ in float32 as well, or not at all.
                    std = rng.normal(size=values.shape).round(3)
                predictions[name] = np.hstack([mean, std]).astype(np.float32)
            self.students.append(predictions)

    def card(self, **changes):
        fields = {
            "heads": Heads(TARGETS),
            "architecture": "deepstarr",
            "role": "teacher",
            "augmentation": "evoaug",
            "proportion": 0.25,
            "size": None,
            "member": 1,
            "seed": 7,
            "dataset_sha256": self.sha256,
        }
        return Card(**(fields | changes))

    def write(self, name, predictions, card, shift_sha256=None):
        """The two files of a member: on shifted sequences, and on the splits."""
        shifted, plain = self.folder / f"{name}_shift.h5", self.folder / f"{name}_splits.h5"
        kinds = {kind: predictions[kind] for kind in SHIFTS}
        sha256 = shift_sha256 or read_shift_info(self.shift).sha256
        write_predictions(shifted, kinds, card, shift_sha256=sha256)
        write_predictions(plain, {"Test": predictions["none"]}, card)
        return shifted, plain

    def files(self):
        """Arguments of evaluate_shift."""
        teachers = [
            (*self.write(f"teacher{i}", predictions, self.card(member=i)), {"member": i})
            for i, predictions in enumerate(self.teachers, start=1)
        ]
        ensemble = self.folder / "ensemble.h5"
        ensemble_shift(ensemble, [shifted for shifted, _, _ in teachers], self.shift)
        students = []
        for i, (identity, predictions) in enumerate(zip(STUDENTS, self.students, strict=True)):
            heads = Heads.student(TARGETS, identity["uncertainty"])
            card = self.card(
                role="student",
                size=SIZE,
                heads=heads,
                member=identity["member"],
                variant=identity.get("variant"),
            )
            # The workflow's identities repeat the arm.
            students.append((*self.write(f"student{i}", predictions, card), ARM | identity))
        return {
            "shift": self.shift,
            "teachers": teachers,
            "ensemble": ensemble,
            "students": students,
        }


def quantile(values, q):
    """Linear interpolation between order statistics."""
    ordered = sorted(values)
    whole, part = divmod(q * (len(ordered) - 1), 1)
    low = ordered[int(whole)]
    return low + part * (ordered[min(int(whole) + 1, len(ordered) - 1)] - low)


def describe(values):
    levels = {"Q05": 0.05, "Q25": 0.25, "Q50": 0.5, "Q75": 0.75, "Q95": 0.95}
    return {"Mean": sum(values) / len(values)} | {k: quantile(values, q) for k, q in levels.items()}


def twin(models):
    """Every number that is promised, by its identity; nothing of the package is used."""
    expected = {}
    for name in NAMES:
        for column, target in enumerate(TARGETS):
            members = np.array([t[name][:, column] for t in models.teachers], dtype=float)
            mean = members.mean(axis=0)
            spread = {ddof: members.std(axis=0, ddof=ddof) for ddof in (0, 1)}

            def add(who, head, metric, value, ddof=None, name=name, target=target):
                expected[(*who, name, target, head, ddof, metric)] = value

            who = ("ensemble", None, None, None)
            for metric, value in describe(mean).items():
                add(who, "mean", metric, value)
            for ddof, values in spread.items():
                add(who, "std", "Mean", values.mean(), ddof)
            for i, activity in enumerate(members, start=1):
                who = ("teacher", i, None, None)
                for metric, value in describe(activity).items():
                    add(who, "mean", metric, value)
                for ddof in (0, 1):
                    error = ((activity - mean) ** 2).mean() * (SIZE / (SIZE - 1) if ddof else 1)
                    add(who, "mean", "MSE_to_ensemble", error, ddof)
            for identity, predictions in zip(STUDENTS, models.students, strict=True):
                who = (
                    "student",
                    identity["member"],
                    identity.get("variant"),
                    identity["uncertainty"],
                )
                activity = predictions[name][:, column].astype(float)
                own = predictions[name][:, 2 + column].astype(float)
                if identity["uncertainty"] == "logvar":
                    own = np.sqrt(np.exp(own))
                for metric, value in describe(activity).items():
                    add(who, "mean", metric, value)
                add(who, "mean", "MSE_to_ensemble", ((activity - mean) ** 2).mean())
                add(who, "std", "Pearson", np.corrcoef(own, spread[0])[0, 1])
                ranks = stats.rankdata(own), stats.rankdata(spread[0])
                add(who, "std", "Spearman", np.corrcoef(*ranks)[0, 1])
                for ddof, values in spread.items():
                    in_ddof = own * (np.sqrt(SIZE / (SIZE - 1)) if ddof else 1)
                    add(who, "std", "Mean", in_ddof.mean(), ddof)
                    add(who, "std", "MSE", ((in_ddof - values) ** 2).mean(), ddof)
    return expected


@pytest.fixture
def models(tmp_path, folder, shift_file):
    return Models(tmp_path, folder / "dataset.h5", shift_file)


def test_every_number_is_that_of_a_plain_twin(models):
    table = evaluate_shift(ARM, **models.files())
    assert tuple(table.columns) == COLUMNS
    got = {}
    names = ("role", "member", "variant", "uncertainty", "shift", "target", "head", "ddof")
    for row in table.to_dict("records"):
        assert row["augmentation"] == "evoaug"
        assert row["proportion"] == 0.25
        assert row["size"] == SIZE
        assert pd.isna(row["stage"])
        key = tuple(None if pd.isna(row[name]) else row[name] for name in (*names, "metric"))
        assert key not in got
        got[key] = row["value"]
    expected = twin(models)
    assert set(got) == set(expected)
    for key, value in expected.items():
        assert got[key] == pytest.approx(value, rel=2e-6, abs=1e-7), key


def baseline(models, files, variant):
    """A model of another role with a std of its own, which belongs to no size."""
    heads = Heads(TARGETS, ("mean", "std"))
    card = models.card(role="mc_dropout", member=2, variant=variant, heads=heads)
    identity = {"role": "mc_dropout", "member": 2, "variant": variant}
    files["students"].append((*models.write(variant, models.students[0], card), identity))


def test_a_std_that_is_not_of_the_ensemble_is_not_compared_with_it(models):
    """How it grows with the shift is told, and as it is."""
    files = models.files()
    baseline(models, files, "precise")
    table = evaluate_shift(ARM, **files)
    own = table[(table["role"] == "mc_dropout") & (table["head"] == "std")]
    assert len(own) == len(TARGETS) * (1 + len(SHIFTS))
    assert set(own["metric"]) == {"Mean"}
    assert set(own["ddof"]) == {0}
    assert set(own["variant"]) == {"precise"}
    for row in own.to_dict("records"):
        column = 2 + TARGETS.index(row["target"])
        mean = models.students[0][row["shift"]][:, column].mean()
        assert row["value"] == pytest.approx(mean, rel=1e-5)


def test_of_variants_of_a_baseline_the_first_has_a_distribution(models):
    files = models.files()
    for variant in ("precise", "moving"):
        baseline(models, files, variant)
    found = predicted_activities(**files)
    assert len(found["mc_dropout"]["none"]) == len(models.students[0]["none"])
    # Students with dynamic augmentation have none.
    plain = [s["uncertainty"] for s in STUDENTS if not s.get("variant")]
    assert len(found["student std"]["none"]) == N * plain.count("std")


def test_the_ensemble_file(models):
    files = models.files()
    with h5py.File(files["ensemble"]) as file:
        card = Card.read(file)
        assert card == replace(
            models.card(), heads=card.heads, role="ensemble", size=SIZE, member=0, seed=0
        )
        assert card.heads.columns == ("Dev", "Hk", "Dev-std", "Hk-std")
        assert set(file) == set(SHIFTS)
        for kind in SHIFTS:
            members = np.array([t[kind] for t in models.teachers], dtype=float)
            expected = np.hstack([members.mean(axis=0), members.std(axis=0)])
            assert file[kind].dtype == np.float32
            np.testing.assert_allclose(file[kind][:], expected, rtol=1e-6, atol=1e-7)


def test_an_ensemble_is_of_members_that_belong_together(models):
    files = [shifted for shifted, _, _ in models.files()["teachers"]]
    output = models.folder / "e.h5"
    with pytest.raises(InputError, match=r"teacher1_shift.h5 has proportion 0.25, where 1.0"):
        ensemble_shift(output, files, models.shift, proportion=1.0)
    with pytest.raises(InputError, match="are both member 2"):
        ensemble_shift(output, [files[1], files[1]], models.shift)
    foreign, _ = models.write("foreign", models.teachers[0], models.card(), shift_sha256="1" * 64)
    with pytest.raises(InputError, match=r"not made from this shift.h5") as error:
        ensemble_shift(output, [*files[1:], foreign], models.shift)
    one_sentence(error, foreign)
    student, _ = models.write("s", models.teachers[0], models.card(role="student", size=3))
    with pytest.raises(InputError, match="has role 'student', where 'teacher'"):
        ensemble_shift(output, [student], models.shift)
    assert not output.exists()


def other_shift(models, files):
    shifted, plain = models.write(
        "other", models.teachers[1], models.card(member=2), shift_sha256="1" * 64
    )
    files["teachers"][1] = (shifted, plain, {"member": 2})
    return shifted


def other_member(models, files):
    files["teachers"][1] = (*files["teachers"][2][:2], {"member": 2})
    return files["teachers"][2][0]


def splits_of_another_member(models, files):
    files["teachers"][1] = (files["teachers"][1][0], files["teachers"][2][1], {"member": 2})
    return files["teachers"][2][1]


def teacher_with(**changes):
    def swap(models, files):
        card = models.card(member=2, **changes)
        files["teachers"][1] = (*models.write("foreign", models.teachers[1], card), {"member": 2})
        return files["teachers"][1][0]

    return swap


def student_as(i, **changes):
    def swap(models, files):
        shifted, plain, identity = files["students"][i]
        files["students"][i] = shifted, plain, identity | changes
        return shifted

    return swap


def student_of_another_size(models, files):
    heads = Heads.student(TARGETS, "std")
    card = models.card(role="student", size=2, heads=heads)
    written = models.write("foreign", models.students[0], card)
    files["students"][0] = (*written, files["students"][0][2])
    return written[0]


def too_few_rows(models, files):
    predictions = models.teachers[1] | {"large": models.teachers[1]["large"][:-1]}
    written = models.write("short", predictions, models.card(member=2))
    files["teachers"][1] = (*written, {"member": 2})
    return written[0]


def too_few_rows_of_the_test_set(models, files):
    predictions = models.teachers[1] | {"none": models.teachers[1]["none"][:-1]}
    written = models.write("short", predictions, models.card(member=2))
    files["teachers"][1] = (*written, {"member": 2})
    return written[1]


def shifted_and_plain_swapped(models, files):
    shifted, plain, identity = files["students"][0]
    files["students"][0] = plain, shifted, identity
    return plain


def tampered_ensemble(column):
    def tamper(models, files):
        with h5py.File(files["ensemble"], "r+") as file:
            file["large"][3, column] += 0.01
        return files["ensemble"]

    return tamper


def ensemble_of_other_size(models, files):
    two = [shifted for shifted, _, _ in files["teachers"]][:2]
    files["ensemble"] = models.folder / "two.h5"
    ensemble_shift(files["ensemble"], two, models.shift)
    return files["ensemble"]


@pytest.mark.parametrize(
    ("swap", "words"),
    [
        (other_shift, "was not made from this shift.h5"),
        (other_member, "has member 3, where 2 is needed"),
        (splits_of_another_member, "has member 3, where 2 is needed"),
        (teacher_with(augmentation="standard"), "has augmentation 'standard'"),
        (teacher_with(proportion=1.0), "has proportion 1.0, where 0.25"),
        (teacher_with(dataset_sha256="0" * 64), "has dataset_sha256"),
        (teacher_with(architecture="residualbind"), "has architecture 'residualbind'"),
        (teacher_with(heads=Heads(("Hk", "Dev"))), "has heads"),
        (student_as(0, member=2), "has member 1, where 2 is needed"),
        (student_as(0, uncertainty="logvar"), "has heads"),
        (student_as(0, variant="random"), "has variant None, where 'random' is needed"),
        (student_as(3, variant=None), "has variant 'random_append', where None is needed"),
        (student_of_another_size, "has size 2, where 3 is needed"),
        (too_few_rows, "large has 99 rows, where 100 are needed"),
        (too_few_rows_of_the_test_set, "Test has 49 rows, where 50 are needed"),
        (shifted_and_plain_swapped, "was not made from this shift.h5"),
        (tampered_ensemble(1), "large is not the mean of this arm's teachers"),
        (tampered_ensemble(2), "large is not the std of this arm's teachers"),
        (ensemble_of_other_size, "has size 2, where 3 is needed"),
    ],
)
def test_a_foreign_file_is_refused_by_name(models, swap, words):
    files = models.files()
    path = swap(models, files)
    with pytest.raises(InputError, match=words) as error:
        evaluate_shift(ARM, **files)
    one_sentence(error, path)


def test_teachers_are_the_first_members(models):
    files = models.files()
    files["teachers"].pop(0)
    with pytest.raises(ValueError, match=r"has teachers 1 to 3, but got \[2, 3\]"):
        evaluate_shift(ARM, **files)


def test_the_assay_itself(folder, test_set):
    table = assay_rows(folder / "dataset.h5")
    assert tuple(table.columns) == COLUMNS
    assert set(table["role"]) == {"assay"}
    assert set(table["head"]) == {"mean"}
    filled = {"role", "target", "head", "metric", "value"}
    assert table[[c for c in COLUMNS if c not in filled]].isna().all(axis=None)
    for column, target in enumerate(TARGETS):
        rows = table[table["target"] == target]
        got = dict(zip(rows["metric"], rows["value"], strict=True))
        expected = describe(test_set.y[:, column].astype(float))
        assert got == pytest.approx(expected, rel=1e-9)
        assert len(rows) == 6
