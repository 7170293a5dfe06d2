"""The DEGU class: members, aggregation, distillation, resumption, refusals."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import motif_activity, random_one_hot
from scipy import stats
from sklearn.metrics import roc_auc_score

from degu import (
    DEGU,
    eval_classification,
    eval_regression,
    standard_train_fun,
    uncertainty_logvar,
    uncertainty_std,
)
from degu.augment import Augmenter, RandomMutation
from degu.models.draw import new_member
from degu.sequences import from_codes
from degu.training.batches import predict
from degu.training.evoaug import EvoAugTraining

FAST = {"epochs": 3, "batch_size": 64, "verbose": 0}


def build(outputs=2, length=16, **kwargs):
    return keras.Sequential(
        [
            keras.Input((length, 4)),
            keras.layers.Conv1D(8, 3, activation="relu", **kwargs),
            keras.layers.BatchNormalization(),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(outputs, **kwargs),
        ]
    )


@pytest.fixture(scope="module")
def data():
    x = random_one_hot(256, 16)
    x_val = random_one_hot(64, 16, seed=1)
    return x, motif_activity(x, 2), x_val, motif_activity(x_val, 2)


@pytest.fixture(scope="module")
def trained(data):
    x, y, *validation = data
    degu = DEGU(build(), num_ensemble=3, uncertainty_fun=uncertainty_std, seed=1)
    histories = degu.train_ensemble(
        x, y, save_prefix=None, optimizer="adam", loss="mse", validation_data=validation, **FAST
    )
    return degu, histories


def initial_weights(model, n=3, seed=None):
    return [new_member(model, None if seed is None else seed + i).get_weights() for i in range(n)]


def random_parts(weights):
    return [w for w in weights if w.ndim >= 2]


@pytest.mark.parametrize(
    "model",
    [
        build(),
        # A seeded initialiser, and one object shared by all layers.
        build(kernel_initializer=keras.initializers.GlorotUniform(seed=1)),
        build(kernel_initializer=keras.initializers.HeNormal()),
        keras.Sequential([keras.Input((16, 4)), build(), keras.layers.Dense(2)]),
    ],
    ids=["fresh", "seeded", "shared", "nested"],
)
def test_members_begin_with_weights_of_their_own(model):
    first, second, third = initial_weights(model)
    for a, b, c in zip(*map(random_parts, (first, second, third)), strict=True):
        assert not np.array_equal(a, b)
        assert not np.array_equal(b, c)
        assert a.std() > 0


def test_layers_of_one_shape_do_not_begin_alike():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(4, kernel_initializer=keras.initializers.GlorotUniform(seed=1)),
            keras.layers.Dense(4, kernel_initializer=keras.initializers.GlorotUniform(seed=1)),
        ]
    )
    np.testing.assert_array_equal(model.get_weights()[0], model.get_weights()[2])
    member = new_member(model, 5).get_weights()
    assert not np.array_equal(member[0], member[2])


def test_members_take_nothing_over_from_the_last_one(data):
    """Neither trained weights nor batch norm's scale, shift and moving statistics."""
    x, y, *_ = data
    model = build()
    standard_train_fun(model, x, y, None, None, "adam", "mse", **FAST)
    norm = next(
        layer
        for layer in new_member(model, 1).layers
        if isinstance(layer, keras.layers.BatchNormalization)
    )
    trained = next(
        layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)
    )
    assert not np.allclose(trained.moving_mean, 0)
    np.testing.assert_array_equal(norm.gamma, np.ones(8))
    np.testing.assert_array_equal(norm.beta, np.zeros(8))
    np.testing.assert_array_equal(norm.moving_mean, np.zeros(8))
    np.testing.assert_array_equal(norm.moving_variance, np.ones(8))


def test_a_seed_gives_the_same_member_even_from_another_building():
    for a, b in zip(*(new_member(build(), 9).get_weights() for _ in range(2)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_member_is_compiled_like_its_model():
    model = build()
    assert not new_member(model).compiled
    model.compile(keras.optimizers.SGD(0.125), loss="mae")
    member = new_member(model)
    assert float(member.optimizer.learning_rate) == 0.125
    assert member.optimizer is not model.optimizer


def test_mean_and_uncertainty_are_those_of_the_members(trained, data):
    degu, histories = trained
    x = data[2]
    assert len(histories) == 3
    assert all(len(h["loss"]) == len(h["val_loss"]) == 3 for h in histories)
    each = np.array([member.predict(x.astype("float32"), verbose=0) for member in degu.members])
    mean, uncertainty = degu.pred_ensemble(x)
    assert mean.shape == uncertainty.shape == (64, 2)
    np.testing.assert_allclose(mean, each.sum(axis=0) / 3, rtol=1e-4, atol=1e-6)
    spread = np.sqrt(((each - each.mean(axis=0)) ** 2).sum(axis=0) / 3)
    np.testing.assert_allclose(uncertainty, spread, rtol=1e-3, atol=1e-5)
    assert (uncertainty > 0).all()


def test_evaluation_of_ensemble_and_members(trained, data):
    degu, _ = trained
    _, _, x, y = data
    ensemble, members, predictions, uncertainties = degu.eval_ensemble(x, y)
    np.testing.assert_array_equal(predictions, degu.pred_ensemble(x).mean)
    np.testing.assert_array_equal(uncertainties, degu.pred_ensemble(x).uncertainty)
    expected = stats.pearsonr(y[:, 1], predictions[:, 1]).statistic
    assert ensemble["Pearson"][1] == pytest.approx(expected)
    assert len(members) == 3
    # The mean's error is below the mean error, by convexity.
    assert (ensemble["MSE"] <= np.mean([m["MSE"] for m in members], axis=0)).all()


def test_students_learn_mean_and_uncertainty(trained, data, tmp_path):
    degu, _ = trained
    x, y, x_val, y_val = data
    seen = {}

    def spy(model, x, y, validation_data, save_prefix, optimizer=None, loss=None, **kwargs):
        seen.update(y=y, y_val=validation_data[1])
        return standard_train_fun(
            model, x, y, validation_data, save_prefix, optimizer, loss, **kwargs
        )

    student = build(outputs=4)
    student.compile("adam", "mse")
    history = degu.distill_student(
        student,
        x,
        y,
        train_fun=spy,
        save_prefix=tmp_path / "student",
        validation_data=(x_val, y_val),
        **FAST,
    )
    assert len(history["loss"]) == 3
    np.testing.assert_array_equal(seen["y"], np.hstack(degu.pred_ensemble(x)))
    # The study validates on the assay, with the ensemble's uncertainty beside it.
    np.testing.assert_array_equal(seen["y_val"][:, :2], y_val)
    np.testing.assert_array_equal(seen["y_val"][:, 2:], degu.pred_ensemble(x_val).uncertainty)
    reopened = build(outputs=4)
    reopened.load_weights(tmp_path / "student.weights.h5")
    results, predictions, y_ensemble = degu.eval_student(student, x_val, y_val)
    np.testing.assert_array_equal(predict(reopened, x_val), predictions)
    np.testing.assert_array_equal(y_ensemble, np.hstack(degu.pred_ensemble(x_val)))
    measured = np.hstack([y_val, y_ensemble[:, 2:]])
    expected = ((measured - predictions) ** 2).mean(axis=0)
    np.testing.assert_allclose(results["MSE"], expected, rtol=1e-5)


def test_members_that_agree_exactly_have_a_finite_log_variance():
    same = np.ones((4, 3, 2), np.float32)
    np.testing.assert_allclose(uncertainty_logvar(same), np.log(1e-6), rtol=1e-6)


def test_an_optimizer_serves_every_member(data):
    x, y, *_ = data
    optimizer = keras.optimizers.Adam(0.003)
    degu = DEGU(build(), num_ensemble=2)
    degu.train_ensemble(x, y, save_prefix=None, optimizer=optimizer, loss="mse", **FAST)
    assert not optimizer.built
    rates = [float(m.optimizer.learning_rate) for m in degu.members]
    np.testing.assert_allclose(rates, 0.003)


def test_outputs_of_any_rank(data):
    """Profiles (L', T): mean and std work over the member axis alone."""
    x = data[0]
    model = keras.Sequential([keras.Input((16, 4)), keras.layers.Conv1D(2, 5)])
    profile = np.repeat(data[1][:, None], 12, axis=1)
    degu = DEGU(model, num_ensemble=2)
    degu.train_ensemble(x, profile, save_prefix=None, optimizer="adam", loss="mse", **FAST)
    results = degu.eval_ensemble(x, profile)
    assert results.predictions.shape == results.uncertainties.shape == (256, 12, 2)
    assert results.ensemble_results["MSE"].shape == (2,)


def test_targets_without_a_second_axis(data):
    x, y, *_ = data
    degu = DEGU(build(outputs=1), num_ensemble=2)
    degu.train_ensemble(x, y[:, 0], save_prefix=None, optimizer="adam", loss="mse", **FAST)
    flat, column = (degu.eval_ensemble(x, t).ensemble_results["MSE"] for t in (y[:, 0], y[:, :1]))
    np.testing.assert_array_equal(flat, column)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.dense = keras.layers.Dense(2)

    def call(self, inputs):
        return self.dense(self.flatten(inputs))


def test_a_model_that_cannot_be_cloned_needs_a_builder(data):
    x, y, *_ = data
    settings = {"save_prefix": None, "optimizer": "adam", "loss": "mse", **FAST}
    with pytest.raises(ValueError, match="function without arguments that builds it"):
        DEGU(Subclassed(), num_ensemble=2).train_ensemble(x, y, **settings)
    degu = DEGU(Subclassed, num_ensemble=2, seed=3)
    degu.train_ensemble(x, y, **settings)
    a, b = (member.dense.kernel.numpy() for member in degu.members)
    assert not np.allclose(a, b)


def test_twins_are_refused(data):
    x, y, *_ = data

    @keras.saving.register_keras_serializable("test")
    class Fixed(keras.initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return np.random.default_rng(0).normal(size=shape).astype("float32")

    model = keras.Sequential(
        [
            keras.Input((16, 4)),
            keras.layers.Flatten(),
            keras.layers.Dense(2, kernel_initializer=Fixed()),
        ]
    )
    with pytest.raises(ValueError, match="begin with the same weights"):
        DEGU(model, num_ensemble=2).train_ensemble(
            x, y, save_prefix=None, optimizer="adam", loss="mse", **FAST
        )


def augmenter(fraction):
    return Augmenter([RandomMutation(fraction)])


def scaled_error(scale):
    return lambda y, pred: scale * keras.ops.mean(keras.ops.square(y - pred), axis=-1)


class Unknown:
    """An augmentation whose state cannot be compared."""

    __slots__ = ("state",)

    def __call__(self, x, rng):
        return x


TRAINED = []


def counting_train_fun(model, *args, **kwargs):
    """A train_fun of one's own, which need not train; what it counts is no part of what it is."""
    TRAINED.append(model.name)
    model.set_weights([weights + len(TRAINED) for weights in model.get_weights()])
    return {"loss": [float(len(TRAINED))]}


def test_members_are_reused_only_on_request_and_only_if_they_match(data, tmp_path, capsys):
    x, y, *_ = data

    def train(y=y, seed=1, resume=True, learning_rate=0.001, model=None, loss="mse", **settings):
        degu = DEGU(model or build(), num_ensemble=2, seed=seed)
        histories = degu.train_ensemble(
            x,
            y,
            train_fun=counting_train_fun,
            save_prefix=tmp_path / "member",
            optimizer=keras.optimizers.Adam(learning_rate),
            loss=loss,
            resume=resume,
            **FAST,
            **settings,
        )
        trained = len(TRAINED)
        TRAINED.clear()
        return trained, histories, degu

    trained, histories, ensemble = train(resume=False)
    assert trained == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "member_1.weights.h5",
        "member_2.weights.h5",
    ]
    # A new building of the same architecture, as in a restarted notebook.
    again, same_histories, same = train()
    assert again == 0
    assert same_histories == histories
    np.testing.assert_array_equal(same.pred_ensemble(x).mean, ensemble.pred_ensemble(x).mean)
    assert train(resume=False)[0] == 2
    assert train(y=y + 1)[0] == 2
    assert "trained on other data or with other settings" in capsys.readouterr().err
    assert train(y=y + 1)[0] == 0
    assert train(y=y + 1, learning_rate=0.002)[0] == 2
    assert train(y=y + 1, learning_rate=0.002, seed=2)[0] == 2
    (tmp_path / "member_2.weights.h5").write_bytes(b"truncated")
    assert train(y=y + 1, learning_rate=0.002, seed=2)[0] == 1
    # Settings that no config spells: arrays, augmentations, functions with what they enclose.
    more = {"y": y + 1, "learning_rate": 0.002, "seed": 2}
    for first, second in (
        ({"sample_weight": np.ones(256)}, {"sample_weight": np.arange(256.0)}),
        ({"augment": augmenter(0.05)}, {"augment": augmenter(0.5)}),
        ({"loss": scaled_error(1.0)}, {"loss": scaled_error(9.0)}),
    ):
        assert train(**more, **first)[0] == 2
        assert train(**more, **first)[0] == 0
        assert train(**more, **second)[0] == 2
    # What has no identity is never taken for the same.
    assert train(**more, augment=Unknown())[0] == 2
    assert train(**more, augment=Unknown())[0] == 2
    wider = build(bias_initializer="ones")
    assert train(y=y + 1, learning_rate=0.002, seed=2, model=wider)[0] == 2


def test_wrong_shapes_are_clear_errors(trained, data):
    degu, _ = trained
    x, y, x_val, y_val = data
    settings = {"save_prefix": None, "optimizer": "adam", "loss": "mse", **FAST}
    with pytest.raises(ValueError, match="ensemble of 1 has no spread"):
        DEGU(build(), num_ensemble=1)
    with pytest.raises(ValueError, match="call train_ensemble first"):
        DEGU(build(), num_ensemble=2).pred_ensemble(x)
    with pytest.raises(ValueError, match="256 sequences but 64 rows"):
        DEGU(build(), num_ensemble=2).train_ensemble(x, y_val, **settings)
    with pytest.raises(ValueError, match=r"targets of shape \(256, 1\)"):
        DEGU(build(), num_ensemble=2).train_ensemble(x, y[:, :1], **settings)
    with pytest.raises(ValueError, match=r"sequences of shape \(256, 15, 4\)"):
        DEGU(build(), num_ensemble=2).train_ensemble(x[:, 1:], y, **settings)
    with pytest.raises(ValueError, match="validation_data: 64 sequences but 256"):
        DEGU(build(), num_ensemble=2).train_ensemble(x, y, validation_data=(x_val, y), **settings)
    with pytest.raises(ValueError, match="needs 4 columns: 2 × 2 targets"):
        degu.distill_student(build(outputs=2), x, y, save_prefix=None)
    with pytest.raises(ValueError, match="needs 4 columns"):
        degu.eval_student(build(outputs=3), x_val, y_val)
    with pytest.raises(ValueError, match="resume=True needs the save_prefix"):
        DEGU(build(), num_ensemble=2).train_ensemble(x, y, resume=True, **settings)


def test_an_uncertainty_of_another_shape_is_refused(trained, data):
    degu = DEGU(build(), num_ensemble=3, uncertainty_fun=lambda p: p.std())
    degu.members = trained[0].members
    with pytest.raises(ValueError, match="uncertainty_fun made"):
        degu.pred_ensemble(data[2])


def test_results_have_the_order_that_the_study_documents(trained, data):
    _, _, x, y = data
    results = trained[0].eval_ensemble(x, y, eval_fun=eval_regression)
    assert results._fields == (
        "ensemble_results",
        "standard_results",
        "predictions",
        "uncertainties",
    )


def test_members_are_reused_by_another_process(tmp_path):
    """What decides a match must not hang on one process's addresses, names or hash seed."""
    script = tmp_path / "train.py"
    script.write_text(
        """
import keras, numpy as np
from degu import DEGU
x = np.eye(4, dtype=np.uint8)[np.random.default_rng(0).integers(0, 4, (64, 8))]
y = x.mean(axis=1)[:, :1]
model = keras.Sequential([keras.Input((8, 4)), keras.layers.Flatten(), keras.layers.Dense(1)])
degu = DEGU(model, num_ensemble=2)
degu.train_ensemble(x, y, optimizer="adam", loss="mse", epochs=1, resume=True, save_prefix="m")
print(degu.pred_ensemble(x).mean.sum())
"""
    )
    runs = [
        subprocess.run(
            [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        for _ in range(2)
    ]
    trained = [[line for line in run.stderr.splitlines() if "epoch 1/1" in line] for run in runs]
    assert [len(lines) for lines in trained] == [2, 0]
    assert runs[0].stdout == runs[1].stdout


def test_builders_that_make_twins_are_found_out(data):
    class Seeded(Subclassed):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(
                2, kernel_initializer=keras.initializers.GlorotUniform(seed=1)
            )

    x, y, *_ = data
    with pytest.raises(ValueError, match="begin with the same weights"):
        DEGU(Seeded, num_ensemble=2).train_ensemble(
            x, y, save_prefix=None, optimizer="adam", loss="mse", **FAST
        )


def test_any_loss_optimizer_and_layer(data):
    """A loss that no config can spell, a schedule of rates, a Lambda layer from a builder."""
    x, y, *validation = data
    model = build()
    model.compile("adam", loss=scaled_error(2.0))
    degu = DEGU(model, num_ensemble=2, seed=1)
    degu.train_ensemble(x, y, save_prefix=None, **FAST)
    assert not np.array_equal(*(random_parts(m.get_weights())[0] for m in degu.members))

    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.5)
    history = DEGU(build(), num_ensemble=2).train_ensemble(
        x,
        -y,
        save_prefix=None,
        optimizer=keras.optimizers.Adam(schedule),
        loss="mse",
        validation_data=validation,
        epochs=9,
        lr_patience=1,
        verbose=0,
    )
    assert len(history[0]["loss"]) > 2

    def with_lambda():
        doubled = keras.layers.Lambda(lambda t: 2.0 * t)
        return keras.Sequential([keras.Input((16, 4)), doubled, *build().layers])

    DEGU(with_lambda, num_ensemble=2).train_ensemble(
        x, y, save_prefix=None, optimizer="adam", loss="mse", **FAST
    )


def test_adapted_and_frozen_layers_stay_so(data):
    x, *_ = data
    normalization = keras.layers.Normalization()
    normalization.adapt(x.astype("float32") * 3 + 1)
    model = keras.Sequential([keras.Input((16, 4)), normalization, *build().layers])
    model.layers[1].trainable = False
    member = new_member(model, 1)
    np.testing.assert_array_equal(member.layers[0].mean, normalization.mean)
    assert [layer.trainable for layer in member.layers[:3]] == [True, False, True]


def test_a_train_fun_may_return_what_keras_returns(data, tmp_path):
    x, y, *_ = data

    def fit(model, x, y, validation_data, save_prefix, optimizer=None, loss=None):
        model.compile(optimizer, loss)
        return model.fit(x.astype("float32"), y, epochs=2, verbose=0)

    def silent(*args, **kwargs):
        fit(*args, **kwargs)

    for train_fun, epochs in ((fit, 2), (silent, None)):
        histories = DEGU(build(), num_ensemble=2).train_ensemble(
            x, y, train_fun, tmp_path / train_fun.__name__, optimizer="adam", loss="mse"
        )
        assert [len(h["loss"]) if h else None for h in histories] == [epochs, epochs]


def test_the_seed_reaches_the_student(data, trained):
    x, y, *_ = data
    weights = []
    for _ in range(2):
        student = new_member(build(outputs=4), 4)
        student.compile("adam", "mse")
        trained[0].distill_student(student, x, y, save_prefix=None, **FAST)
        weights.append(student.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_classification_from_end_to_end(data):
    x, y, x_val, y_val = data
    labels, labels_val = (y > 0).astype("float32"), (y_val > 0).astype("float32")
    model = keras.Sequential([build(), keras.layers.Activation("sigmoid")])
    degu = DEGU(model, num_ensemble=2, uncertainty_fun=uncertainty_std, seed=1)
    degu.train_ensemble(x, labels, save_prefix=None, optimizer="adam", loss="mse", **FAST)
    ensemble = degu.eval_ensemble(x_val, labels_val, eval_fun=eval_classification)
    assert set(ensemble.ensemble_results) == {"AUROC", "AUPR", "F1"}
    student = build(outputs=4)
    results, predictions, y_ensemble = degu.eval_student(
        student, x_val, labels_val, eval_fun=eval_classification
    )
    expected = roc_auc_score(labels_val[:, 1], predictions[:, 1])
    assert results["AUROC"][1] == pytest.approx(expected)
    spread = ((predictions[:, 2:] - y_ensemble[:, 2:]) ** 2).mean(axis=0)
    np.testing.assert_allclose(results["MSE"], spread, rtol=1e-5)


def test_more_wrong_shapes_are_clear_errors(data, trained):
    x, y, x_val, y_val = data
    settings = {"save_prefix": None, "optimizer": "adam", "loss": "mse", **FAST}
    with pytest.raises(ValueError, match=r"targets of shape \(256, 3\)"):
        trained[0].distill_student(build(outputs=4), x, np.zeros((256, 3)), save_prefix=None)
    with pytest.raises(ValueError, match=r"targets of shape \(64, 1\)"):
        trained[0].distill_student(
            build(outputs=4), x, y, save_prefix=None, validation_data=(x_val, y_val[:, :1])
        )
    with pytest.raises(ValueError, match="has 3 parts"):
        DEGU(build(), 2).train_ensemble(x, y, validation_data=(x_val, y_val, y_val), **settings)
    inputs = keras.Input((16, 4))
    flat = keras.layers.Flatten()(inputs)
    two = keras.Model(inputs, [keras.layers.Dense(1)(flat), keras.layers.Dense(1)(flat)])
    with pytest.raises(ValueError, match="has 2 outputs; concatenate"):
        DEGU(two, 2).train_ensemble(x, y, **settings)
    with pytest.raises(TypeError):
        DEGU(build(), num_ensemble=2.5)
    degu = DEGU(build(), num_ensemble=2)
    degu.train_ensemble(x, y.tolist(), **settings)


@pytest.fixture(scope="module")
def long_enough():
    x = random_one_hot(200, 24)
    y = motif_activity(x)
    degu = DEGU(build(1, 24), num_ensemble=2, uncertainty_fun=uncertainty_std, seed=1)
    degu.train_ensemble(x, y, save_prefix=None, optimizer="adam", loss="mse", **FAST)
    return degu, x, y


def distilled(degu, x, y, copies_taken=True, **settings):
    """What the train_fun of a student is given beside x and y."""
    given = {}

    def takes(model, x, y, validation_data, save_prefix, optimizer=None, loss=None, *, copies=None):
        given["copies"] = copies
        return {"loss": [0.0]}

    def takes_none(model, x, y, validation_data, save_prefix, optimizer=None, loss=None):
        return {"loss": [0.0]}

    train_fun = takes if copies_taken else takes_none
    degu.distill_student(build(2, 24), x, y, train_fun, save_prefix=None, **settings)
    return given.get("copies")


def test_students_see_copies_that_the_ensemble_has_labelled(long_enough):
    degu, x, y = long_enough
    copies = distilled(degu, x, y)
    assert copies.codes.shape == (4, 200, 24)
    for codes, labels in zip(copies.codes, copies.y, strict=True):
        np.testing.assert_array_equal(labels, np.hstack(degu.pred_ensemble(from_codes(codes))))
    assert len(np.unique(copies.codes.reshape(-1, 24), axis=0)) > 780
    again = distilled(degu, x.astype(np.float32), y, copies=2)
    np.testing.assert_array_equal(again.codes, copies.codes[:2])
    assert distilled(degu, x, y, copies=0) is None


def test_a_student_trains_on_copies(long_enough):
    degu, x, y = long_enough
    weights = []
    for copies in (4, 0):
        student = new_member(build(2, 24), 1)
        student.compile("adam", "mse")
        degu.distill_student(student, x, y, save_prefix=None, copies=copies, **FAST)
        weights.append(student.get_weights())
    assert not np.array_equal(weights[0][0], weights[1][0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: 0.5 * x, "not one-hot"),
        (lambda x: x[..., :3], "not one array of sequences"),
        (lambda x: x[:, :12], "max_length 20"),
    ],
)
def test_a_line_says_why_there_are_no_copies(long_enough, capsys, monkeypatch, change, words):
    degu, x, y = long_enough
    monkeypatch.setattr(degu, "_check_student", lambda *args: None)
    monkeypatch.setattr(degu, "pred_ensemble", lambda x: (np.zeros((200, 1)), np.zeros((200, 1))))
    assert distilled(degu, change(x), y) is None
    assert words in capsys.readouterr().err


def test_a_train_fun_without_copies_gets_none_and_a_line_says_so(long_enough, capsys):
    degu, x, y = long_enough
    distilled(degu, x, y, copies_taken=False)
    assert "its train_fun has no argument copies" in capsys.readouterr().err


def test_there_are_no_copies_beside_an_augmentation(long_enough, capsys):
    degu, x, y = long_enough
    student = build(2, 24)
    student.compile("adam", "mse")
    settings = {**FAST, "augment": Augmenter([RandomMutation()])}
    history = degu.distill_student(student, x, y, save_prefix=None, **settings)
    assert len(history["loss"]) == FAST["epochs"]
    assert "its sequences are augmented as they come" in capsys.readouterr().err


def test_copies_are_of_fine_tuning_where_a_student_trains_with_evoaug(long_enough, monkeypatch):
    degu, x, y = long_enough
    seen = []

    def spy(*args, copies=None, augment=None, **kwargs):
        seen.append((copies is not None, augment is not None))
        return standard_train_fun(*args, copies=copies, augment=augment, **kwargs)

    monkeypatch.setattr("degu.training.evoaug.standard_train_fun", spy)
    student = build(2, 24)
    student.compile("adam", "mse")
    train = EvoAugTraining(Augmenter([RandomMutation()]), finetune_epochs=1)
    degu.distill_student(student, x, y, train, save_prefix=None, **FAST)
    assert seen == [(False, True), (True, False)]
    settings = {"copies": distilled(degu, x, y), "augment": Augmenter([RandomMutation()])}
    with pytest.raises(ValueError, match="labels of their own"):
        standard_train_fun(student, x, settings["copies"].y[0], None, None, **settings)
