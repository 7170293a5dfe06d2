"""Arms, pools, seeds and subsets."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from degu.errors import InputError
from degu.sweep import (
    Arm,
    choose_arms,
    derive_seed,
    draw_subset,
    expand_arms,
    format_proportion,
    pool_sizes,
    sweeps,
)

PAPER = [
    {
        "augmentations": ["standard"],
        "proportions": [1],
        "ensemble_sizes": [2, 3, 4, 5, 10, 15, 20, 25],
    },
    {
        "augmentations": ["standard", "evoaug"],
        "proportions": [0.1, 0.25, 0.5, 0.75, 1],
        "ensemble_sizes": [10],
    },
]


@pytest.mark.parametrize(
    ("proportion", "spelling"), [(1, "1"), (1.0, "1"), (0.25, "0.25"), (0.1, "0.1")]
)
def test_spelling_of_proportions(proportion, spelling):
    assert format_proportion(proportion) == spelling


def test_the_papers_grid():
    arms = expand_arms(PAPER)
    assert len(arms) == 17
    pools = pool_sizes(arms)
    assert pools == {("standard", 1.0): 25} | {
        (augmentation, proportion): 10
        for augmentation in ("standard", "evoaug")
        for proportion in (0.1, 0.25, 0.5, 0.75, 1.0)
        if (augmentation, proportion) != ("standard", 1.0)
    }
    assert sum(pools.values()) == 25 + 4 * 10 + 5 * 10 == 115


def test_arms_keep_their_first_order_and_spell_their_wildcards():
    arms = expand_arms(PAPER)
    assert [arm.size for arm in arms[:8]] == [2, 3, 4, 5, 10, 15, 20, 25]
    assert arms[8] == Arm("standard", 0.1, 10)
    assert arms[8].wildcards == {"augmentation": "standard", "proportion": "0.1", "size": "10"}
    assert arms[0].wildcards["proportion"] == "1"
    assert arms[8].pool == ("standard", 0.1)


def test_a_sweep_is_the_arms_that_differ_in_one_thing_alone():
    arms = expand_arms(PAPER)
    sizes = sweeps(arms, "size")
    assert {key: [arm.size for arm in group] for key, group in sizes.items()} == {
        ("standard", 1.0): [2, 3, 4, 5, 10, 15, 20, 25]
    }
    proportions = sweeps(arms, "proportion")
    assert {key: [arm.proportion for arm in group] for key, group in proportions.items()} == {
        ("standard", 10): [0.1, 0.25, 0.5, 0.75, 1],
        ("evoaug", 10): [0.1, 0.25, 0.5, 0.75, 1],
    }
    pairs = sweeps(arms, "augmentation")
    assert set(pairs) == {(p, 10) for p in (0.1, 0.25, 0.5, 0.75, 1)}
    assert all([a.augmentation for a in pair] == ["evoaug", "standard"] for pair in pairs.values())
    assert sweeps(arms[:1], "size") == {}


def test_a_choice_of_arms():
    arms = expand_arms(PAPER)
    ten = choose_arms(arms, [{"augmentations": ["standard"], "ensemble_sizes": [10]}])
    assert [arm.proportion for arm in ten] == [1, 0.1, 0.25, 0.5, 0.75]
    assert choose_arms(arms, [{"proportions": None}]) == arms
    two = choose_arms(arms, [{"ensemble_sizes": [25]}, {"ensemble_sizes": [2, 25]}])
    assert two == (Arm("standard", 1.0, 2), Arm("standard", 1.0, 25))
    with pytest.raises(InputError, match=r"^evoaug, ensemble size 25 is not among the study's"):
        choose_arms(arms, [{"augmentations": ["evoaug"], "ensemble_sizes": [10, 25]}])


def test_a_proportion_that_a_path_cannot_spell_is_refused():
    block = {"augmentations": ["standard"], "proportions": [1 / 3], "ensemble_sizes": [2]}
    with pytest.raises(InputError, match=r"proportions: 0\.333.* write 0\.333333\."):
        expand_arms([block])


def test_seed_is_half_the_first_four_bytes_of_a_sha256():
    # printf '1234|teacher|augmentation=standard|member=1|proportion=0.25' | sha256sum
    digest = "6e8b2e00d9cc72d63cdc08ee6260a2d94c102f12f0030dbf4c8c8800d2f04056"
    expected = int(digest[:8], 16) // 2
    identity = {"augmentation": "standard", "proportion": 0.25, "member": 1}
    assert derive_seed(1234, "teacher", **identity) == expected
    assert derive_seed(1234, "teacher", **dict(reversed(identity.items()))) == expected
    # printf '0|student' | sha256sum
    assert derive_seed(0, "student") == int("170d6d09", 16) // 2


def test_seed_is_the_same_in_another_process():
    code = "from degu.sweep import derive_seed; print(derive_seed(7, 'student', size=10, member=3))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "99"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(run.stdout) == derive_seed(7, "student", size=10, member=3)


def test_seeds_tell_every_member_from_every_other():
    arms = expand_arms(PAPER)
    seeds = {
        derive_seed(base, role, **arm.wildcards, member=member)
        for base in (1, 2)
        for role in ("teacher", "student")
        for arm in arms
        for member in range(1, 26)
    }
    assert len(seeds) == 2 * 2 * 17 * 25
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_seed_spells_proportions_as_paths_do():
    assert derive_seed(1, "teacher", proportion=1.0) == derive_seed(1, "teacher", proportion="1")
    assert derive_seed(1, "teacher", proportion=np.float64(0.5)) == derive_seed(
        1, "teacher", proportion="0.5"
    )


@pytest.mark.parametrize(
    ("proportion", "size"), [(0.1, 40230), (0.25, 100574), (0.5, 201148), (0.75, 301722)]
)
def test_published_subset(proportion, size):
    subset = draw_subset(402_296, proportion, 1234)
    published = np.random.default_rng(1234).choice(402_296, size, replace=False, shuffle=False)
    np.testing.assert_array_equal(subset, sorted(published))


def test_all_of_the_data_is_the_identity_whatever_the_seed():
    for seed in (0, 1):
        subset = draw_subset(1000, 1, seed)
        np.testing.assert_array_equal(subset, range(1000))
        assert subset.dtype == np.int64


@given(st.integers(1, 500), st.floats(0.01, 1), st.integers(0, 2**31 - 1))
def test_a_subset_is_sorted_and_distinct(n, proportion, seed):
    if round(n * proportion) == 0:
        with pytest.raises(InputError, match=r"proportions: .* is none"):
            draw_subset(n, proportion, seed)
        return
    subset = draw_subset(n, proportion, seed)
    assert len(subset) == round(n * proportion)
    assert subset[0] >= 0
    assert subset[-1] < n
    assert (np.diff(subset) > 0).all()
