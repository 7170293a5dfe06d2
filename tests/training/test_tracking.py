"""Training curves, read back by TensorFlow's own reader of event files."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import motif_activity, random_one_hot
from tensorflow.core.util import event_pb2

from degu.heads import Heads
from degu.training.fit import head_errors, standard_train_fun
from degu.training.tracking import tensorboard_callback

X = random_one_hot(48, 20)
Y = motif_activity(X, 2)


def model():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((20, 4))
    hidden = keras.layers.Dropout(0.3)(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, keras.layers.Dense(2)(hidden))


def train(network, callbacks=(), **settings):
    return standard_train_fun(
        network,
        X,
        Y,
        (X[:16], Y[:16]),
        None,
        **{"optimizer": "adam", "loss": "mse", "epochs": 4, "seed": 5, "verbose": 0, **settings},
        batch_size=16,
        callbacks=callbacks,
        metrics=head_errors(Heads(("Dev", "Hk"))),
    )


def events(folder):
    """Every event of a folder's files, in the order in which TensorBoard reads them."""
    return [
        event_pb2.Event.FromString(record.numpy())
        for path in sorted(folder.glob("events.out.tfevents.*"))
        for record in tf.data.TFRecordDataset(str(path))
    ]


def curves(folder):
    """Name of each curve and its value at each step, as TensorBoard takes them from events."""
    found = {}
    for event in events(folder):
        if event.session_log.status == event_pb2.SessionLog.START:
            found = {
                name: {step: value for step, value in curve.items() if step < event.step}
                for name, curve in found.items()
            }
        for value in event.summary.value:
            found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def test_curves_hold_the_history(tmp_path):
    folder = tmp_path / "not" / "there"
    history = train(model(), [tensorboard_callback(folder)])
    of_train, of_validation = curves(folder / "train"), curves(folder / "validation")
    assert set(of_train) == {"loss", "MSE_Dev", "MSE_Hk", "learning_rate"}
    assert set(of_validation) == {"loss", "MSE_Dev", "MSE_Hk"}
    for found, prefix in ((of_train, ""), (of_validation, "val_")):
        for name, curve in found.items():
            assert list(curve) == [1, 2, 3, 4]
            np.testing.assert_array_equal(
                np.float32(list(curve.values())), np.float32(history[prefix + name])
            )
    first = events(folder / "train")[0]
    assert first.file_version == "brain.Event:2"


def test_no_bit_of_a_result_changes(tmp_path):
    plain, tracked = model(), model()
    assert train(plain) == train(tracked, [tensorboard_callback(tmp_path)])
    for one, other in zip(plain.get_weights(), tracked.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_taken_up_where_it_was_killed(tmp_path):
    network = model()
    first = train(network, [tensorboard_callback(tmp_path)])
    # Killed with epochs 3 and 4 shown, of which no state was saved: taken up after epoch 2.
    again = train(
        network, [tensorboard_callback(tmp_path)], optimizer=None, loss=None, initial_epoch=2
    )
    loss = curves(tmp_path / "train")["loss"]
    expected = [*first["loss"][:2], *again["loss"]]
    np.testing.assert_array_equal(np.float32([loss[i] for i in (1, 2, 3, 4)]), np.float32(expected))
    assert len(list((tmp_path / "train").iterdir())) == 2


def test_a_training_that_begins_afresh_replaces_the_curves(tmp_path):
    train(model(), [tensorboard_callback(tmp_path)])
    foreign = tmp_path / "train" / "notes.txt"
    foreign.write_text("kept")
    history = train(model(), [tensorboard_callback(tmp_path)], epochs=2, seed=6)
    loss = curves(tmp_path / "train")["loss"]
    assert list(loss.values()) == pytest.approx(history["loss"])
    assert foreign.read_text() == "kept"


def test_curves_that_cannot_be_written_do_not_end_the_training(tmp_path, capfd):
    (tmp_path / "train").write_text("in the way")
    history = train(model(), [tensorboard_callback(tmp_path)])
    assert len(history["loss"]) == 4
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "cannot be written (File exists)" in said
