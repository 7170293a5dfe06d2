"""What the maps of an arm say: every row against brute force, files, links, refusals."""

import itertools
import json
import math
import shutil
import warnings

import h5py
import numpy as np
import pandas as pd
import pytest
from consistency_twin import twin
from made_arm import (
    ARM,
    DATASET_SHA256,
    GROUPS,
    LENGTH,
    METHODS,
    POOL,
    SEQUENCES_SHA256,
    TARGETS,
    TOP_N,
    MadeArm,
    N,
)
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from degu.attribution.analysis import (
    COLUMNS,
    average_folder,
    evaluate_arm,
    export_distances,
    summarize_attribution,
)
from degu.attribution.maps import HeadMaps
from degu.errors import InputError
from degu.heads import Heads
from degu.io.files import write_csv
from degu.io.summary import tidy, tidy_rows

KEYS = COLUMNS[:-1]
UNBIASED = math.sqrt(3 / 2)  # three teachers


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return MadeArm(tmp_path_factory.mktemp("arm"))


@pytest.fixture(scope="module")
def table(made):
    return evaluate(made)


def evaluate(made, **changes):
    arguments = {
        "sequences": made.sequences,
        "teachers": made.teachers,
        "students": made.students,
        "output": made.output,
    }
    return evaluate_arm(ARM, **{**arguments, **changes})


def as_dict(table):
    """Value of each row, by its identity; blanks are None."""
    values = {}
    for row in table.to_dict("records"):
        key = tuple(None if pd.isna(row[name]) else row[name] for name in KEYS)
        assert key not in values, key
        values[key] = row["value"]
    return values


# A brute-force twin: one sequence, model and pair at a time


def cosine(a, b):
    return a @ b / math.sqrt((a @ a) * (b @ b))


def spearman(a, b):
    return stats.spearmanr(a, b).statistic


def rmse(a, b):
    return math.sqrt(np.mean((a - b) ** 2))


def pair_mean(similarity, vectors):
    pairs = list(itertools.combinations(vectors, 2))
    return np.mean([similarity(a, b) for a, b in pairs]) if pairs else np.nan


def spread(vectors, ddof):
    return math.sqrt(sum(np.var(column, ddof=ddof) for column in vectors.T))


def importance(maps, x, method):
    if method == "shap":
        return maps.sum(axis=-1) * x.sum(axis=-1)
    centred = maps - maps.mean(axis=-1, keepdims=True)
    return np.array([sum(m * b) for m, b in zip(centred, x, strict=True)])


def true_scores(maps, selection, method):
    """(AUROC, AUPRC) of each sequence of one model; NaN for that without a motif."""
    scores = []
    for own, x, mask in zip(maps, selection.x, selection.motif_mask, strict=True):
        size = abs(importance(own, x, method))
        functions = (roc_auc_score, average_precision_score)
        scores.append([f(mask, size) if mask.any() else np.nan for f in functions])
    return dict(zip(("AUROC", "AUPRC"), np.array(scores).T, strict=True))


def compared(students, teachers):
    """Rows of a comparison: (M, n) with Welch's test, (n,) without."""
    results = {}
    if students.ndim == 2:
        a, b = np.nanmean(students, axis=1), np.nanmean(teachers, axis=1)
        if min(len(a), len(b)) > 1:
            t = stats.ttest_ind(a, b, equal_var=False)
            m = len(a) + len(b) - 2
            ss = (len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)
            j = math.gamma(m / 2) / (math.sqrt(m / 2) * math.gamma((m - 1) / 2))
            results["welch"] = {
                "difference": a.mean() - b.mean(),
                "t": t.statistic,
                "p": t.pvalue,
                "effect_size": j * (a.mean() - b.mean()) / math.sqrt(ss / m),
                "n": m + 2,
            }
        students, teachers = students.mean(axis=0), teachers.mean(axis=0)
    d = students - teachers
    d = d[~np.isnan(d)]
    if len(d) < 2:
        return results
    t, w = stats.ttest_1samp(d, 0), stats.wilcoxon(d)
    ranks = stats.rankdata(abs(d))
    results["paired_t"] = {
        "difference": d.mean(),
        "t": t.statistic,
        "p": t.pvalue,
        "effect_size": d.mean() / d.std(ddof=1),
        "n": len(d),
    }
    results["wilcoxon"] = {
        "difference": np.median(d),
        "W": w.statistic,
        "p": w.pvalue,
        "effect_size": (ranks @ np.sign(d)) / ranks.sum(),
        "n": len(d),
    }
    return results


def of_sequences(function, *stacks):
    """(M, n) of a function of two vectors; the second stack may be one for all models."""
    a, b = np.broadcast_arrays(*stacks)
    return np.array([list(map(function, *pair)) for pair in zip(a, b, strict=True)])


def scores_of(made, role, kind, method, target):
    """Values of each sequence, by metric and ddof: (M, n) of each model, (n,) of all."""
    selection = made.sequences.targets[target]
    maps = made.arrays(role, method, target, kind)
    flat = maps.reshape(len(maps), N, -1)
    scores = {}
    if len(maps) > 1:
        for ddof in (0, 1):
            scores["Std", ddof] = [spread(flat[:, j], ddof) for j in range(N)]
        for name, similarity in (("Cosine", cosine), ("Spearman", spearman)):
            scores[name, None] = [pair_mean(similarity, flat[:, j]) for j in range(N)]
    if kind == "mean":
        ensemble = average_of(made, method, target).reshape(N, -1)
        distance = of_sequences(rmse, flat, ensemble)
        if role == "teacher":
            scores["RMSE_to_ensemble", 0] = distance
            scores["RMSE_to_ensemble", 1] = distance * UNBIASED
            others = [np.delete(flat, i, axis=0).mean(axis=0) for i in range(len(flat))]
            scores["RMSE_to_others", None] = of_sequences(rmse, flat, others)
        else:
            scores["RMSE_to_ensemble", None] = distance
        for name, similarity in (("Cosine", cosine), ("Spearman", spearman)):
            scores[f"{name}_to_ensemble", None] = of_sequences(similarity, flat, ensemble)
            if role == "teacher":
                others = [np.delete(flat, i, axis=0).mean(axis=0) for i in range(len(flat))]
                scores[f"{name}_to_others", None] = of_sequences(similarity, flat, others)
        if selection.motif_mask is not None:
            by_model = [true_scores(own, selection, method) for own in maps]
            for metric in ("AUROC", "AUPRC"):
                scores[metric, None] = [own[metric] for own in by_model]
    return {key: np.array(values) for key, values in scores.items()}


def average_of(made, method, target):
    """The ensemble's map, as precise as files hold it."""
    average = made.arrays("teacher", method, target).mean(axis=0)
    return average.astype(np.float32).astype(np.float64)


def brute_force(made):
    """The whole table of an arm, by identity."""
    rows = {}

    def add(value, **identity):
        row = {"head": "mean", **identity}
        rows[tuple(row.get(key) for key in KEYS)] = value

    def add_means(values, **identity):
        for name, indices in GROUPS.items():
            chosen = values[indices]
            add(chosen[~np.isnan(chosen)].mean(), selection=name, **identity)

    def consistencies(maps):
        """Of M models, (M,) by selection."""
        return {name: [twin(own[k]) for own in maps] for name, k in GROUPS.items()}

    for target in TARGETS:
        selection = made.sequences.targets[target]
        if selection.motif_mask is not None:
            share = selection.motif_mask.mean(axis=1)
            share = np.where(share > 0, share, np.nan)
            harmonic = sum(1 / k for k in range(1, LENGTH + 1))
            others = (share * LENGTH - 1) / (LENGTH - 1)
            chance = (harmonic + others * (LENGTH - harmonic)) / LENGTH
            add_means(share, role="truth", target=target, metric="Prevalence")
            add_means(chance, role="truth", target=target, metric="Chance_AUPRC")
        for method in METHODS:
            part = {**ARM, "target": target, "method": method}
            if selection.motif_mask is not None:
                average = average_of(made, method, target)
                for metric, values in true_scores(average, selection, method).items():
                    add_means(values, role="ensemble", **part, metric=metric)
            average = average_of(made, method, target)
            for name, (value,) in consistencies([average]).items():
                add(value, role="ensemble", **part, metric="Consistency_KLD", selection=name)
            consistent = consistencies(made.arrays("teacher", method, target))
            of_teachers = scores_of(made, "teacher", "mean", method, target)
            for role in dict.fromkeys(role for role, _, _ in made.maps):
                who = {"role": "teacher", **part}
                if role != "teacher":
                    who = {"role": "student", "uncertainty": role, **part}
                for kind in made.kinds(role):
                    scores = scores_of(made, role, kind, method, target)
                    for (metric, ddof), values in scores.items():
                        measured = {**who, "head": kind, "metric": metric, "ddof": ddof}
                        if values.ndim == 1:
                            add_means(values, **measured)
                            continue
                        for i, own in enumerate(values, start=1):
                            add_means(own, **measured, member=i)
                    if method == "shap":
                        fields = [
                            made.arrays(role, method, target, kind, field)
                            for field in ("residual", "prediction")
                        ]
                        measured = {**who, "head": kind, "metric": "Residual"}
                        for i, (r, p) in enumerate(zip(*fields, strict=True), start=1):
                            for name, k in GROUPS.items():
                                value = max(abs(r[k])) / np.std(p[k])
                                add(value, **measured, member=i, selection=name)
                    maps = made.arrays(role, method, target, kind)
                    measured = {**who, "head": kind, "metric": "Consistency_KLD"}
                    for name, values in consistencies(maps).items():
                        for i, value in enumerate(values, start=1):
                            add(value, **measured, member=i, selection=name)
                        if role != "teacher" and len(maps) > 1:
                            average = maps.mean(axis=0).astype(np.float32)
                            add(twin(average[GROUPS[name]]), **measured, selection=name)
                    if role == "teacher" or kind != "mean":
                        continue
                    for name, values in consistencies(maps).items():
                        # A number for each model: Welch's test, and none over sequences.
                        sides = np.array(values)[:, None], np.array(consistent[name])[:, None]
                        if np.ptp(sides[0]) == np.ptp(sides[1]) == 0:
                            continue  # a single k-mer is kept, which is one direction
                        for statistic, value in compared(*sides).get("welch", {}).items():
                            test_of = {"comparison": "welch", "statistic": statistic}
                            add(value, **measured, selection=name, **test_of)
                    for (metric, ddof), values in of_teachers.items():
                        own = scores.get((metric, ddof), scores.get((metric, None)))
                        if own is None or metric.startswith(("Cosine_", "Spearman_")):
                            continue
                        for name, k in GROUPS.items():
                            measured = {**who, "metric": metric, "ddof": ddof, "selection": name}
                            for comparison, test in compared(own[..., k], values[..., k]).items():
                                for statistic, value in test.items():
                                    test_of = {"comparison": comparison, "statistic": statistic}
                                    add(value, **measured, **test_of)
    return rows


def compare(got, expected):
    assert set(got) == set(expected)
    for key, value in expected.items():
        assert got[key] == pytest.approx(value, rel=1e-6, abs=1e-9), key


def test_every_row_is_there_and_none_is_invented(made, table):
    assert tuple(table.columns) == COLUMNS
    compare(as_dict(table), brute_force(made))


def test_without_planted_motifs_nothing_is_said_of_the_truth(tmp_path):
    made = MadeArm(tmp_path, students=[("std", 1)], planted=False)
    table = evaluate(made)
    compare(as_dict(table), brute_force(made))
    assert not set(table["metric"]) & {"AUROC", "AUPRC", "Prevalence", "Chance_AUPRC"}
    of_ensemble = table[table["role"] == "ensemble"]
    assert set(of_ensemble["metric"]) == {"Consistency_KLD"}
    assert set(table["role"]) == {"teacher", "student", "ensemble"}
    # A single student has neither a spread nor a test over models.
    students = table[table["role"] == "student"]
    assert students[students["metric"] == "Std"].empty
    assert "welch" not in set(students["comparison"])
    with h5py.File(made.output) as file:
        assert "motif_mask" not in file["Dev"]
        assert "auroc" not in file["Dev/saliency/teachers"]


def test_an_arm_without_students(tmp_path):
    made = MadeArm(tmp_path, students=())
    table = evaluate(made)
    compare(as_dict(table), brute_force(made))
    assert set(table["role"]) == {"teacher", "ensemble", "truth"}


def test_the_table_is_tidy(table, tmp_path):
    assert table["value"].notna().all()
    path = tmp_path / "n3_summary.csv"
    write_csv(table, path)
    again = tidy_rows(path, COLUMNS)
    assert as_dict(again) == as_dict(table)
    line = "student,standard,0.25,3,2,std,shap,bin1,Dev,mean,,RMSE_to_ensemble,,,"
    assert sum(text.startswith(line) for text in path.read_text().splitlines()) == 1


# Maps made so that the answer is known


def change(made, role, function):
    """Every map of one role by ``function(maps, i)``, and its files."""
    for (own, i, _), maps in made.maps.items():
        if own == role:
            for kinds in maps.values():
                for kind, head in kinds.items():
                    kinds[kind] = head._replace(maps=np.asarray(function(head.maps, i)))
    made.write()


def rows_of(table, **identity):
    chosen = table
    for name, wanted in identity.items():
        chosen = chosen[chosen[name].isna() if wanted is None else chosen[name] == wanted]
    return chosen["value"].to_numpy()


def test_students_that_are_the_ensemble(tmp_path):
    made = MadeArm(tmp_path, students=[("std", 2)])
    for (role, _, method), maps in made.maps.items():
        if role == "std":
            for target, kinds in maps.items():
                average = made.arrays("teacher", method, target).mean(axis=0)
                kinds["mean"] = kinds["mean"]._replace(maps=average.astype(np.float32))
    made.write()
    table = evaluate(made)
    own = {"role": "student", "head": "mean", "comparison": None}
    np.testing.assert_array_equal(rows_of(table, **own, metric="RMSE_to_ensemble"), 0)
    np.testing.assert_array_equal(rows_of(table, **own, metric="Std"), 0)
    for metric in ("Cosine", "Spearman", "Cosine_to_ensemble", "Spearman_to_ensemble"):
        np.testing.assert_allclose(rows_of(table, **own, metric=metric), 1, rtol=1e-12)
    for metric in ("AUROC", "AUPRC"):
        ensemble = rows_of(table, role="ensemble", metric=metric)
        students = rows_of(table, **own, metric=metric, member=1)
        np.testing.assert_allclose(students, ensemble, rtol=1e-12)
    ensemble = rows_of(table, role="ensemble", metric="Consistency_KLD")
    for member in (1, 2, None):
        students = rows_of(table, **own, metric="Consistency_KLD", member=member)
        np.testing.assert_allclose(students, ensemble, rtol=1e-12)
    for path in made.folder.glob("n3-std/*euclidean_dist.npy"):
        np.testing.assert_array_equal(np.load(path), 0)
    better = rows_of(table, metric="RMSE_to_ensemble", comparison="welch", statistic="difference")
    assert (better < 0).all()


def test_models_that_are_equal_are_not_tested(tmp_path):
    """Teachers and students of one map: every difference is zero, or rounding."""
    made = MadeArm(tmp_path, students=[("std", 3)])
    one = {
        key: head.maps.copy()
        for key, head in (
            ((target, method), made.maps["teacher", 1, method][target]["mean"])
            for target in TARGETS
            for method in METHODS
        )
    }
    for (_, _, method), maps in made.maps.items():
        for target, kinds in maps.items():
            kinds["mean"] = kinds["mean"]._replace(maps=one[target, method])
    made.write()
    table = evaluate(made)
    assert table["comparison"].isna().all()
    assert not rows_of(table, metric="Std", head="mean").any()


def test_constant_predictions_have_maps_without_a_direction(tmp_path):
    """Teacher 1 is constant on one sequence, teacher 2 everywhere, and so are all students."""
    made = MadeArm(tmp_path, students=[("std", 2)])
    change(made, "std", lambda maps, i: np.zeros_like(maps))
    change(made, "teacher", lambda maps, i: np.zeros_like(maps) if i == 2 else maps)
    first = made.maps["teacher", 1, "saliency"]["Dev"]
    first["mean"].maps[5] = 0
    heads = made.maps["std", 1, "shap"]["Dev"]
    heads["mean"] = heads["mean"]._replace(prediction=np.full(N, 0.1, np.float32))
    made.write()
    table = evaluate(made)
    assert np.isfinite(table["value"]).all()
    part = {"target": "Dev", "method": "saliency", "selection": "bin1"}
    mean = {**part, "head": "mean"}
    teachers = made.arrays("teacher", "saliency", "Dev").reshape(3, N, -1)
    # Of the two sequences of bin 1, the other one's is the mean.
    got = rows_of(table, **mean, role="teacher", member=1, metric="Cosine_to_ensemble")
    assert got == pytest.approx(cosine(teachers[0, 6], teachers[:, 6].sum(axis=0)))
    got = rows_of(table, **mean, role="teacher", metric="Cosine")
    assert got == pytest.approx(cosine(teachers[0, 6], teachers[2, 6]))
    for identity in ({"role": "teacher", "member": 2}, {"role": "student"}):
        metrics = {"RMSE_to_ensemble", "Cosine_to_ensemble", "Spearman_to_ensemble"}
        there = {m for m in metrics if len(rows_of(table, **mean, **identity, metric=m))}
        assert there == {"RMSE_to_ensemble"}
        assert len(rows_of(table, **mean, **identity, metric="Consistency_KLD")) == 0
    for metric in ("Cosine", "Spearman"):
        assert len(rows_of(table, **mean, role="student", metric=metric)) == 0
    # Nothing is known, so that nothing is found; a prediction without a spread has no unit.
    students = rows_of(table, **mean, role="student", member=1, metric="AUROC", comparison=None)
    np.testing.assert_array_equal(students, 0.5)
    residuals = {"role": "student", "metric": "Residual", "head": "mean", "target": "Dev"}
    assert len(rows_of(table, **residuals, member=1)) == 0
    assert len(rows_of(table, **residuals, member=2)) == len(GROUPS)


# Files


def test_the_arm_as_plain_h5py_sees_it(made, table):
    with h5py.File(made.output) as file:
        assert {name: file.attrs[name] for name in ARM} == ARM
        assert json.loads(file.attrs["targets"]) == list(TARGETS)
        assert json.loads(file.attrs["methods"]) == list(METHODS)
        assert file.attrs["sequences_sha256"] == SEQUENCES_SHA256
        assert file.attrs["dataset_sha256"] == DATASET_SHA256
        assert set(file) == set(TARGETS)
        for target in TARGETS:
            group, selection = file[target], made.sequences.targets[target]
            arrays = {"row", "id", "y", "rank", "bin", "x", "motif_mask"}
            assert set(group) == arrays | set(METHODS)
            for name in arrays - {"id"}:
                np.testing.assert_array_equal(group[name][:], getattr(selection, name))
            np.testing.assert_array_equal(group["id"].asstr()[:], selection.id)
            for method in METHODS:
                _check_group(made, group[method], target, method)


def _check_group(made, group, target, method):
    selection = made.sequences.targets[target]
    roles = {"teachers": "teacher", "students-std": "std", "students-logvar": "logvar"}
    assert set(group) == {"ensemble", *roles}
    wanted = made.arrays("teacher", method, target).mean(axis=0)
    assert group["ensemble/maps"].dtype == np.float32
    np.testing.assert_allclose(group["ensemble/maps"][:], wanted, rtol=1e-6, atol=1e-7)
    for name, role in roles.items():
        own, maps = group[name], made.arrays(role, method, target)
        flat = maps.reshape(len(maps), N, -1)
        expected = {
            "member": np.arange(1, len(maps) + 1),
            "rmse": np.sqrt(((maps - wanted) ** 2).mean(axis=(2, 3))),
            "std": [spread(flat[:, j], 0) for j in range(N)],
            "cosine": [pair_mean(cosine, flat[:, j]) for j in range(N)],
            "spearman": [pair_mean(spearman, flat[:, j]) for j in range(N)],
            "average": maps.mean(axis=0),
        }
        for key, metric in (("auroc", "AUROC"), ("auprc", "AUPRC")):
            expected[key] = [true_scores(one, selection, method)[metric] for one in maps]
        assert set(own) == {*expected, "models"}
        for key, values in expected.items():
            np.testing.assert_allclose(own[key][:], values, rtol=1e-4, atol=1e-6, err_msg=key)
        for i, one in enumerate(maps, start=1):
            linked = own["models"][str(i)]
            assert set(linked) == set(made.kinds(role))
            np.testing.assert_array_equal(linked["mean/maps"][:], one.astype(np.float32))


def test_the_arm_links_to_maps_and_moves_with_the_results(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    made = MadeArm(tmp_path / "here")
    inside = made.output.relative_to(tmp_path / "here")
    evaluate(
        made,
        output=inside,
        teachers=[(path.relative_to(tmp_path / "here"), who) for path, who in made.teachers],
    )
    shutil.move(tmp_path / "here", tmp_path / "there" / "2024")
    monkeypatch.chdir("/")
    with h5py.File(tmp_path / "there" / "2024" / inside) as file:
        for group, role in (("teachers", "teacher"), ("students-std", "std")):
            models = file[f"Dev/shap/{group}/models"]
            link = models.get("2", getlink=True)
            assert isinstance(link, h5py.ExternalLink)
            assert not link.filename.startswith("/")
            expected = made.maps[role, 2, "shap"]["Dev"]["mean"].maps
            np.testing.assert_array_equal(models["2/mean/maps"][:], expected)


def test_equal_maps_make_equal_files(made, table):
    before = made.output.read_bytes()
    again = evaluate(made)
    assert made.output.read_bytes() == before
    pd.testing.assert_frame_equal(again, table)


def test_averages_and_spreads_of_a_folder(tmp_path):
    made = MadeArm(tmp_path, teachers=4)  # the pool is larger than the arm
    average_folder(made.teachers, made.sequences)
    export_distances([m for m in made.teachers if m[1]["member"] == 2], made.sequences)
    found = {path.name for path in (made.folder / "teachers").glob("*.npy")}
    expected = set()
    top = GROUPS["top5"]
    for target, method in itertools.product(TARGETS, METHODS):
        maps = made.arrays("teacher", method, target)
        flat = maps.reshape(4, N, -1)
        files = {
            f"avg_top{TOP_N}_{target}-mean_{method}.npy": maps.mean(axis=0)[top],
            f"top{TOP_N}_{target}_{method}_stdev.npy": [spread(flat[:, j], 0) for j in top],
        }
        name = f"2_top{TOP_N}_{target}_{method}_euclidean_dist.npy"
        files[name] = [rmse(flat[1, j], flat[:, j].mean(axis=0)) for j in top]
        for name, values in files.items():
            got = np.load(made.folder / "teachers" / name)
            assert got.dtype == np.float32
            np.testing.assert_allclose(got, values, rtol=1e-5, atol=1e-6, err_msg=name)
        expected |= set(files)
    assert found == expected


def test_files_beside_the_students_maps(made, table):
    top = GROUPS["top5"]
    for kind in ("std", "logvar"):
        expected = {}
        for target, method in itertools.product(TARGETS, METHODS):
            reference = made.arrays("teacher", method, target).mean(axis=0)
            for head in ("mean", kind):
                average = made.arrays(kind, method, target, head).mean(axis=0)
                expected[f"avg_top{TOP_N}_{target}-{head}_{method}.npy"] = average[top]
            maps = made.arrays(kind, method, target)
            flat = maps.reshape(len(maps), N, -1)
            expected[f"top{TOP_N}_{target}_{method}_stdev.npy"] = [
                spread(flat[:, j], 0) for j in top
            ]
            for i, own in enumerate(maps, start=1):
                expected[f"{i}_top{TOP_N}_{target}_{method}_euclidean_dist.npy"] = [
                    rmse(own[j], reference[j]) for j in top
                ]
        folder = made.folder / f"n3-{kind}"
        assert {path.name for path in folder.glob("*.npy")} == set(expected)
        for name, values in expected.items():
            got = np.load(folder / name)
            assert got.dtype == np.float32
            np.testing.assert_allclose(got, values, rtol=1e-5, atol=1e-6, err_msg=name)


def test_the_students_of_a_folder_can_be_averaged_alone(tmp_path):
    made = MadeArm(tmp_path)
    average_folder(made.students, made.sequences)
    average = made.arrays("logvar", "shap", "Dev", "logvar").mean(axis=0)[GROUPS["top5"]]
    got = np.load(made.folder / "n3-logvar" / f"avg_top{TOP_N}_Dev-logvar_shap.npy")
    np.testing.assert_allclose(got, average, rtol=1e-5, atol=1e-6)


def test_distances_need_a_whole_average(tmp_path):
    made = MadeArm(tmp_path)
    path = made.folder / "teachers" / f"avg_top{TOP_N}_Hk-mean_saliency.npy"
    average_folder(made.teachers, made.sequences)
    whole = path.read_bytes()
    for content, words in {
        whole[:-1]: "is not as it was written",
        whole[:50]: "is not a whole .npy file",
        b"": "is not a whole .npy file",
        path.with_name(path.name.replace("Hk", "Dev")).read_bytes(): "has target 'Dev', where 'Hk'",
        path.with_name(path.name.replace("saliency", "shap")).read_bytes(): "has method 'shap', wh",
    }.items():
        path.write_bytes(content)
        with pytest.raises(InputError, match=words) as error:
            export_distances(made.teachers, made.sequences)
        assert str(error.value).startswith(str(path))
    np.save(path, np.full((TOP_N, LENGTH, 4), np.nan))
    with pytest.raises(InputError, match="not finite"):
        export_distances(made.teachers, made.sequences)
    np.save(path, np.zeros((TOP_N, LENGTH, 3)))
    with pytest.raises(InputError, match=r"has shape \(5, 9, 3\), where \(5, 9, 4\) is needed"):
        export_distances(made.teachers, made.sequences)
    path.unlink()
    with pytest.raises(InputError, match="does not exist"):
        export_distances(made.teachers, made.sequences)


# Refusals


@pytest.fixture
def arm(tmp_path):
    return MadeArm(tmp_path)


def refuse(made, words, path=None, **changes):
    """Evaluation ends with words that name the path, and leaves no file of the arm."""
    with pytest.raises(InputError, match=words) as error:
        evaluate(made, **changes)
    if path is not None:
        assert str(error.value).startswith(str(path))
    assert not made.output.exists()
    assert not list(made.folder.glob(".writing*"))


@pytest.mark.parametrize(
    ("key", "changes", "words"),
    [
        (("teacher", 2, "shap"), {"dataset_sha256": "0" * 64}, "has dataset_sha256 '000"),
        (("teacher", 3, "shap"), {"proportion": 0.5}, r"has proportion 0\.5, where 0\.25"),
        (("teacher", 1, "shap"), {"augmentation": "evoaug"}, "has augmentation 'evoaug'"),
        (("teacher", 1, "shap"), {"size": 3}, "has size 3, where None"),
        (("teacher", 2, "shap"), {"architecture": "other"}, "has architecture 'other', where"),
        (("std", 2, "saliency"), {"size": 2}, "has size 2, where 3"),
        (("std", 1, "saliency"), {"role": "teacher"}, "has role 'teacher', where 'student'"),
        (("std", 2, "saliency"), {"member": 5}, "has member 5, where 2"),
        (("std", 1, "saliency"), {"variant": "random"}, "has variant 'random', where None"),
        (
            ("std", 1, "saliency"),
            {"heads": Heads(TARGETS, ("mean", "logvar"))},
            r"has heads \('Hk', 'Dev', 'Hk-logvar', 'Dev-logvar'\)",
        ),
        (("logvar", 1, "shap"), {"heads": Heads(TARGETS)}, r"has heads \('Hk', 'Dev'\), where"),
        (
            ("teacher", 3, "saliency"),
            {"heads": Heads(("Dev", "Hk"))},
            r"has heads \('Dev', 'Hk'\), where \('Hk', 'Dev'\)",
        ),
    ],
)
def test_strangers_are_refused_by_name(arm, key, changes, words):
    refuse(arm, words, arm.write_one(key, **changes))
    # Every card is looked at before anything is computed.
    assert not list(arm.folder.glob("*/*.npy"))


def test_files_of_other_methods_and_sequences_are_refused(arm):
    shap, saliency = (arm.path("teacher", 2, method) for method in ("shap", "saliency"))
    kept = shap.read_bytes()
    shutil.copy(saliency, shap)
    refuse(arm, "holds maps by saliency and not by shap; delete it", shap)
    shap.write_bytes(kept)
    with h5py.File(shap, "r+") as file:
        file.attrs["sequences_sha256"] = "6" * 64
    refuse(arm, "holds maps of other sequences than those that are chosen now", shap)
    shap.write_bytes(kept[:-500])
    refuse(arm, "truncated", shap)
    shap.unlink()
    refuse(arm, "does not exist", shap)


def test_maps_that_cannot_be_used_are_refused(arm):
    path = arm.path("std", 2, "shap")
    kept = path.read_bytes()
    with h5py.File(path, "r+") as file:
        file["Dev/std/maps"][3, 2, 1] = np.nan
    refuse(arm, "Dev-std holds maps that is not finite; delete the file", path)
    path.write_bytes(kept)
    with h5py.File(path, "r+") as file:
        del file["Dev"]
    refuse(arm, "has no maps of Dev; delete it", path)
    key, other = ("std", 2, "shap"), {}
    for target, kinds in arm.maps[key].items():
        other[target] = {
            kind: HeadMaps(*(None if v is None else v[:-1] for v in head))
            for kind, head in kinds.items()
        }
    arm.maps[key] = other
    arm.write_one(key)
    refuse(arm, r"Hk has maps of shape \(7, 9, 4\), where \(8, 9, 4\) is needed for the", path)


def test_no_member_counts_twice(arm):
    path = arm.path("teacher", 1, "shap")
    copy = shutil.copy(path, path.with_name("copy.h5"))
    twice = [*arm.teachers, (copy, {**POOL, "member": 1, "method": "shap"})]
    refuse(arm, r"copy\.h5 and .*1_shap\.h5 are both member 1 by shap", copy, teachers=twice)


def test_an_arm_is_its_first_teachers(arm):
    two = [(path, who) for path, who in arm.teachers if who["member"] != 2]
    for teachers in ([], two):
        with pytest.raises(ValueError, match="An ensemble of 3 has teachers 1 to 3, but got"):
            evaluate(arm, teachers=teachers)
    with pytest.raises(ValueError, match="maps by every method"):
        evaluate(arm, teachers=arm.teachers[:-1])
    students = [(path, who) for path, who in arm.students if who["method"] == "shap"]
    with pytest.raises(ValueError, match="maps by the teachers' methods"):
        evaluate(arm, students=students)
    refuse(arm, "has size None, where 3 is needed", students=arm.teachers)


# The study's table


def arm_table(path, size, share=0.25):
    rows = [
        {"role": "truth", "selection": name, "target": "Dev", "head": "mean", "value": share}
        | {"metric": "Prevalence"}
        for name in ("top5", "bin1")
    ]
    arm = {**POOL, "size": size}
    teacher = {"role": "teacher", **arm, "member": 1, "method": "ism", "selection": "top5"}
    rows += [
        {**teacher, "target": "Dev", "head": "mean", "metric": metric, "value": 0.5}
        for metric in ("AUROC", "AUPRC")
    ]
    write_csv(tidy(rows, COLUMNS), path)
    return path


def test_a_study_gathers_its_arms(tmp_path):
    paths = [arm_table(tmp_path / f"n{size}.csv", size) for size in (2, 3, 5)]
    study = summarize_attribution(paths)
    assert tuple(study.columns) == COLUMNS
    assert study["role"].value_counts().to_dict() == {"teacher": 6, "truth": 2}
    assert list(study.loc[study["role"] == "teacher", "size"]) == [2, 2, 3, 3, 5, 5]
    truth = study[study["role"] == "truth"]
    assert list(truth["selection"]) == ["top5", "bin1"]
    assert truth["size"].isna().all()
    assert study["member"].dtype == "Int64"
    assert list(study.index) == list(range(len(study)))
    write_csv(study, tmp_path / "attribution_summary.csv")
    assert as_dict(tidy_rows(tmp_path / "attribution_summary.csv", COLUMNS)) == as_dict(study)


def test_arms_of_other_sequences_do_not_mix(tmp_path):
    paths = [arm_table(tmp_path / "a.csv", 2), arm_table(tmp_path / "b.csv", 3, share=0.5)]
    with pytest.raises(InputError, match=r"a\.csv, .*b\.csv are not of the same sequences"):
        summarize_attribution(paths)


def test_a_table_that_is_not_whole_is_refused(tmp_path):
    path = arm_table(tmp_path / "a.csv", 2)
    text = path.read_text()
    for damaged in (text[:-2], text.replace("comparison,", ""), "", text.splitlines()[0] + "\n"):
        path.write_text(damaged)
        with pytest.raises(InputError, match=r"a\.csv is not a whole table with the columns"):
            summarize_attribution([path])
