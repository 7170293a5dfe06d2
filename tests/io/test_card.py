"""What a file says of itself: written, read, compared, and damaged."""

import json
from dataclasses import fields, replace

import h5py
import pytest

from degu.errors import InputError
from degu.heads import Heads
from degu.io.card import Card
from degu.io.versions import package_versions

CARD = Card(
    heads=Heads.student(("Dev", "Hk"), "logvar"),
    architecture="my_models.small:build",
    role="student",
    augmentation="evoaug",
    proportion=0.25,
    size=10,
    member=3,
    seed=2**31 - 1,
    dataset_sha256="ab" * 32,
    variant="random_append",
    architecture_sha256="cd" * 32,
)
TEACHER = replace(CARD, heads=Heads(("Dev", "Hk")), role="teacher", size=None, variant=None)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "1_Small.h5"


def written(card, path):
    with h5py.File(path, "w") as file:
        card.write(file.attrs)
    return path


def read(path):
    with h5py.File(path) as file:
        return Card.read(file)


@pytest.mark.parametrize("card", [CARD, TEACHER], ids=lambda card: card.role)
def test_a_card_is_read_as_it_was_written(card, path):
    assert read(written(card, path)) == card
    assert card.versions == package_versions()


def test_others_read_it_without_this_package(path):
    with h5py.File(written(CARD, path)) as file:
        values = {name: json.loads(value) for name, value in file.attrs.items()}
    assert set(values) == {f"degu_{field.name}" for field in fields(Card)}
    assert values["degu_proportion"] == 0.25
    assert values["degu_size"] == 10
    assert values["degu_variant"] == "random_append"
    assert values["degu_heads"] == {"targets": ["Dev", "Hk"], "kinds": ["mean", "logvar"]}


@pytest.mark.parametrize("name", sorted({field.name for field in fields(Card)} - {"flanks"}))
def test_a_missing_field_is_said_by_name(name, path):
    with h5py.File(written(CARD, path), "r+") as file:
        del file.attrs[f"degu_{name}"]
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path} carries no card (degu_{name} is missing)")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("seed", "1.5"),
        ("seed", '"1"'),
        ("seed", "{"),
        ("member", "null"),
        ("size", "[]"),
        ("role", "7"),
        ("proportion", '"all"'),
        ("heads", '{"targets": ["Dev"]}'),
        ("heads", "7"),
        ("versions", "[1]"),
        ("variant", "3"),
        ("flanks", '["ACN", ""]'),
    ],
)
def test_a_damaged_field_is_said_by_name(name, text, path):
    with h5py.File(written(CARD, path), "r+") as file:
        file.attrs[f"degu_{name}"] = text
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path} has a damaged card (degu_{name}); ")


OTHERS = {
    "heads": Heads.student(("Dev", "Hk"), "std"),
    "architecture": "deepstarr",
    "role": "teacher",
    "augmentation": "standard",
    "proportion": 1.0,
    "size": 5,
    "member": 4,
    "seed": 1,
    "dataset_sha256": "ef" * 32,
    "variant": None,
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_card_of_something_else_is_refused(name):
    CARD.check("a.h5", **{name: getattr(CARD, name)})
    with pytest.raises(InputError) as caught:
        CARD.check("a.h5", **{name: OTHERS[name]})
    got, wanted = (
        value.columns if isinstance(value, Heads) else value
        for value in (getattr(CARD, name), OTHERS[name])
    )
    assert str(caught.value).startswith(f"a.h5 has {name} {got!r}, where {wanted!r} is needed")
