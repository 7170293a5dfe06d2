"""Files from anywhere: no code in them runs, and they do not make us read others."""

import json
import os
import pickle
import sys

import h5py
import keras
import numpy as np
import pytest
from conftest import run_python, write_small_dataset

from degu.dataset import read_info, read_split
from degu.dataset.distillation import read_distillation, write_distillation
from degu.errors import InputError
from degu.heads import Heads
from degu.ingest import hdf5
from degu.io.card import Card
from degu.io.files import read_npy
from degu.io.hdf5 import open_hdf5
from degu.models.files import load_model, save_model
from degu.study.config.files import refuse_duplicate_keys


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


# Models


@pytest.fixture
def write_model(tmp_path):
    """Function that writes a model's file, its stored config changed first."""

    def write(change=lambda config: None):
        path = tmp_path / "1_DeepSTARR.h5"
        inputs = keras.Input((8, 4))
        outputs = keras.layers.Dense(1)(keras.layers.Flatten(name="flatten")(inputs))
        card = Card(
            role="teacher",
            augmentation="standard",
            proportion=1.0,
            size=None,
            member=1,
            heads=Heads(("Dev",)),
            architecture="deepstarr",
            seed=1,
            dataset_sha256="0" * 64,
        )
        save_model(keras.Model(inputs, outputs), path, card)
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            change(config["config"]["layers"][1])
            file.attrs["model_config"] = json.dumps(config)
        return path

    return write


def test_a_model_of_plain_layers_is_loaded(write_model):
    model, _ = load_model(write_model())
    assert model.output_shape == (None, 1)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ({"class_name": "Lambda"}, "a Lambda"),
        ({"class_name": "TorchModuleWrapper"}, "a TorchModuleWrapper"),  # unpickles
        ({"class_name": "TFSMLayer", "config": {"filepath": "/other"}}, "a TFSMLayer"),
        ({"class_name": "Flatten", "module": "os"}, "os.Flatten"),
        ({"class_name": "Flatten", "registered_name": "evil>Layer"}, "evil>Layer"),
        ({"config": {"activation": {"class_name": "__lambda__"}}}, "a Python function"),
        ({"config": {"vocabulary": "/etc/passwd"}}, "a path to another file"),
    ],
)
def test_what_is_not_a_plain_layer_is_named_and_not_loaded(write_model, layer, words):
    path = write_model(lambda config: config.update(layer))
    with pytest.raises(InputError, match=f"1_DeepSTARR.h5 holds {words}.*, which may run code"):
        load_model(path)


def test_code_in_a_model_does_not_run(tmp_path, write_model, monkeypatch):
    """A real one: the same file makes the folder where nothing is refused."""
    monkeypatch.chdir(tmp_path)
    mark = tmp_path / "it_ran"
    inputs = keras.Input((8, 4))
    layer = keras.layers.Lambda(
        lambda x: (__import__("os").makedirs("it_ran", exist_ok=True), x)[1],
        output_shape=(8, 4),
    )
    evil = tmp_path / "evil.h5"
    outputs = keras.layers.Dense(1)(keras.layers.Flatten()(layer(inputs)))
    keras.Model(inputs, outputs).save(evil)
    with h5py.File(write_model()) as good, h5py.File(evil, "r+") as file:
        for name, value in good.attrs.items():
            if name.startswith("degu_"):
                file.attrs[name] = value
    with pytest.raises(InputError, match="holds a Lambda"):
        load_model(evil)
    assert not mark.exists()
    keras.models.load_model(evil, compile=False, safe_mode=False)(np.zeros((1, 8, 4)))
    assert mark.exists()


@pytest.mark.parametrize(
    "stored", [None, "", "[]", "{", '{"class_name": "Dense", "config": {}}', 3]
)
def test_a_config_that_is_no_model_is_refused(write_model, stored):
    path = write_model()
    with h5py.File(path, "r+") as file:
        del file.attrs["model_config"]
        if stored is not None:
            file.attrs["model_config"] = stored
    with pytest.raises(InputError, match="holds no Keras model"):
        load_model(path)


def test_a_model_of_another_architecture_than_its_card_is_refused(write_model, tmp_path):
    path = write_model()
    card = load_model(path)[1]
    other = tmp_path / "other.h5"
    layers = [keras.Input((8, 4)), keras.layers.GlobalMaxPooling1D(), keras.layers.Dense(1)]
    save_model(keras.Sequential(layers), other, card)
    with h5py.File(path) as good, h5py.File(other, "r+") as file:
        file.attrs["degu_architecture_sha256"] = good.attrs["degu_architecture_sha256"]
    with pytest.raises(InputError, match="holds another architecture than its card says"):
        load_model(other)


# Python in data


def test_no_pickle_is_read(tmp_path):
    mark, path = tmp_path / "it_ran", tmp_path / "a.npy"
    np.save(path, np.array([Evil(mark)], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"a\.npy is not a whole \.npy file \(Object arrays"):
        read_npy(path)
    path.write_bytes(pickle.dumps(Evil(mark)))
    with pytest.raises(InputError, match=r"a\.npy is not a whole \.npy file"):
        read_npy(path)
    assert not mark.exists()
    np.load(path, allow_pickle=True)
    assert mark.exists()


def test_no_object_is_made_from_yaml(tmp_path):
    mark, path = tmp_path / "it_ran", tmp_path / "a.yaml"
    path.write_text(f"seed: !!python/object/apply:os.mkdir [{mark}]\n")
    with pytest.raises(InputError, match=r"cannot be read as YAML .*python/object"):
        refuse_duplicate_keys([path])
    assert not mark.exists()


def test_a_module_is_imported_only_if_the_config_names_it(tmp_path):
    (tmp_path / "my_module.py").write_text("open('imported', 'w')\nbuild = None\n")
    code = "from degu.models.registry import build, source_identity\n"
    code += (
        "import os\n"
        "build('deepstarr', (40, 4), 1)\n"
        # Told before any job, and without running it.
        "source_identity('my_module:build')\n"
        "assert not os.path.exists('imported')\n"
        "print('not yet')\n"
        "build('my_module:build', (40, 4), 1)\n"
    )
    done = run_python(code, cwd=tmp_path)
    assert done.stdout.endswith("not yet\n"), done.stderr
    assert (tmp_path / "imported").exists()
    assert "my_module" not in sys.modules


# Links


@pytest.fixture
def distillation(tmp_path):
    """A data set, and what students learn from."""
    write_small_dataset(tmp_path / "dataset.h5")
    info = read_info(tmp_path / "dataset.h5")
    path = tmp_path / "arm" / "distillation.h5"
    sizes = info.sizes
    write_distillation(
        path,
        dataset=tmp_path / "dataset.h5",
        rows=np.arange(sizes["Train"]),
        mean_train=np.zeros((sizes["Train"], 2)),
        std={name: np.ones((n, 2)) for name, n in sizes.items()},
        augmentation="standard",
        size=5,
    )
    return path


def test_a_distillation_file_of_another_ensemble_is_refused(distillation):
    read_distillation(distillation, "Train", "std", size=5, augmentation="standard", proportion=1)
    with pytest.raises(InputError, match=r"is of the ensemble with size 5, where 10 is needed"):
        read_distillation(distillation, "Train", "std", size=10)


def test_a_distillation_file_reads_sequences_of_its_data_set_only(distillation, tmp_path):
    write_small_dataset(tmp_path / "other.h5", seed=1)
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.zeros((60, 30, 4), np.uint8)
    for target, key, words in (
        ("../other.h5", "/Train/X", "which is of another data set"),
        ("../secret.h5", "/x", "which is not there or not whole"),
        ("/etc/passwd", "/x", "which is not there or not whole"),
        ("../dataset.h5", "/Train/y", "which is not there or not whole"),
        ("../dataset.h5", "/Test/X", "has sequences of shape .25, 30, 4. for 60 rows"),
    ):
        with h5py.File(distillation, "r+") as file:
            del file["Train/X"]
            file["Train/X"] = h5py.ExternalLink(target, key)
        with pytest.raises(InputError, match=words):
            read_distillation(distillation, "Train", "std")


def test_arrays_of_a_file_lie_in_it(tmp_path):
    """External storage would read any file as numbers, a virtual dataset any HDF5 file."""
    (tmp_path / "secret").write_bytes(bytes(range(200)))
    path, out = tmp_path / "a.h5", tmp_path / "out.h5"
    data = {"path": str(path), "units": ""}
    splits = write_small_dataset(tmp_path / "dataset.h5", sizes=(50, 8, 9))
    layout = h5py.VirtualLayout((50, 2), np.float32)
    layout[:] = h5py.VirtualSource(tmp_path / "dataset.h5", "Train/y", (50, 2))
    for way in ("external", "virtual", "link"):
        with h5py.File(path, "w") as file:
            for name, split in splits.items():
                file[f"{name}/X"], file[f"{name}/y"] = split.x, split.y
            del file["Train/y"]
            if way == "external":
                storage = [(str(tmp_path / "secret"), 0, 100)]
                file["Train"].create_dataset("y", (50, 2), np.uint8, external=storage)
            elif way == "virtual":
                file["Train"].create_virtual_dataset("y", layout)
            else:
                file["Train/y"] = h5py.ExternalLink("../dataset.h5", "Train/y")
        (tmp_path / "in").mkdir(exist_ok=True)
        moved = tmp_path / "in" / "a.h5"
        moved.write_bytes(path.read_bytes())
        with pytest.raises(InputError, match="Train/y lies in another file"):
            hdf5.ingest({**data, "path": str(moved)}, ("Dev", "Hk"), out, 1)
    assert not out.exists()


# A file in which HDF5 itself goes astray


def test_a_file_that_the_library_does_not_get_through_is_refused(tmp_path, monkeypatch):
    """Text of attributes lies in a heap, whose end the library finds by sizes within it."""
    monkeypatch.setattr("degu.io.hdf5.WALK_SECONDS", 1)
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs["a"] = "some text"
    content = path.read_bytes()
    heap = content.index(b"GCOL")
    path.write_bytes(content[: heap + 16] + bytes(64) + content[heap + 80 :])
    with (
        pytest.raises(InputError, match="the HDF5 library does not get through it"),
        open_hdf5(path),
    ):
        pass


def test_a_data_set_that_was_changed_is_refused(tmp_path):
    path = tmp_path / "dataset.h5"
    write_small_dataset(path)
    with h5py.File(path, "r+"):
        pass  # drops the seal; the content is as it was
    read_split(path, "Val")
    with h5py.File(path, "r+") as file:
        file["Train/y"][3, 0] += 1
    for read in (read_info, lambda path: read_split(path, "Val")):
        with pytest.raises(InputError, match="has been changed since it was written"):
            read(path)
