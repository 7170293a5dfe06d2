"""What a config means beyond its schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from degu import ingest
from degu.attribution.methods import METHODS
from degu.errors import InputError
from degu.models.registry import REGISTRY
from degu.study.config.messages import missing_key
from degu.study.config.schema import Schema
from degu.study.config.wording import did_you_mean
from degu.sweep import choose_arms, expand_arms

Config = dict[str, Any]


def display_name(config: Mapping[str, Any]) -> str:
    """Name of the config's architecture in file names: ``DeepSTARR``, or the ``model_name``.

    Raises:
        InputError: for an unknown architecture, or a ``model_name`` that is missing or idle.
    """
    model, model_name = config["model"], config.get("model_name")
    if model in REGISTRY:
        if model_name is not None:
            raise InputError(
                f"model_name: is for a model of your own, but {model} is called "
                f"{REGISTRY[model]}; remove the line."
            )
        return REGISTRY[model]
    _refuse_unknown("model", model)
    if model_name is None:
        raise InputError(
            f"model_name: is missing; name {model} for its files, for example `model_name: MyNet`."
        )
    return model_name


def _refuse_unknown(key: str, architecture: str) -> None:
    module, _, function = architecture.partition(":")
    own = all(part.isidentifier() for part in (*module.split("."), function))
    if not own and architecture not in REGISTRY:
        raise InputError(
            f"{key}: {architecture!r} is neither a known architecture ({', '.join(REGISTRY)}) nor "
            "a function of your own (my_package.my_module:build); "
            f"{did_you_mean(architecture, REGISTRY) or 'write one of the two.'}"
        )


def check_meaning(config: Config, rules: Schema) -> None:
    """Check what a schema cannot say, and give what depends on other keys its default.

    Args:
        config: valid and filled in; changed in place.
        rules: the schema for its source of data (:func:`degu.study.config.schema.resolve`).

    Raises:
        InputError: for the first keys that do not fit each other.
    """
    _check_names(config, rules)
    display_name(config)
    ingest.check(config["data"], config["targets"], rules["properties"]["data"]["properties"])
    for architecture in config["mixed_architectures"]:
        _refuse_unknown("mixed_architectures", architecture)
    _check_aleatoric(config)
    _check_training(config)
    _check_augmentation(config)
    _check_attribution(config)
    _check_arms(config)


def _check_names(config: Config, rules: Schema) -> None:
    if config["targets"] is None:
        raise InputError(missing_key("targets", rules["properties"]["targets"]))
    if "metric" in config["targets"]:
        raise InputError(
            "targets: metric is the name of another column of the results; rename the target."
        )
    if config["dataset"] == "simulated" and config["data"]["source"] != "simulate":
        raise InputError(
            "dataset: simulated is the name of the embedded study; give yours a name of its own, "
            "for example `dataset: my_assay`."
        )


def _check_aleatoric(config: Config) -> None:
    """Of a source with ``replicates`` it is known before it is read whether there are some."""
    data = config["data"]
    if config["aleatoric"] != "replicates" or "replicates" not in data:
        return
    given = data["replicates"] or 0
    if isinstance(given, int) and given < 2:
        raise InputError(
            "aleatoric: replicates needs two or more replicates to learn from; give them in "
            "data.replicates, or write `aleatoric: learned`."
        )


def _check_training(config: Config) -> None:
    for section in (name for name in config if name.endswith(("training", "finetuning"))):
        floor, start = config[section]["min_learning_rate"], config[section]["learning_rate"]
        if floor > start:
            raise InputError(
                f"{section}.min_learning_rate: {floor} is above the learning_rate, {start}; write "
                "a smaller one."
            )
    if config["require_gpu"] and not config["resources"]["train"]["gpu"]:
        raise InputError(
            "require_gpu: no training job asks for a GPU; write `resources: {train: {gpu: 1}}` "
            "besides."
        )


def _check_augmentation(config: Config) -> None:
    """Also gives ``uncertainty`` and ``per_sequence`` their defaults."""
    evoaug, dynamic, shift = (config[k] for k in ("evoaug", "dynamic_augmentation", "shift"))
    kinds = config["students"]["uncertainty"]
    dynamic["uncertainty"] = dynamic["uncertainty"] or kinds[0]
    if dynamic["modes"] and dynamic["uncertainty"] not in kinds:
        raise InputError(
            f"dynamic_augmentation.uncertainty: {dynamic['uncertainty']} is not one of "
            f"students.uncertainty, {', '.join(kinds)}, so these students would have none to be "
            "compared with; write one of them or add it there."
        )
    distillation = config["distillation"]
    listed = len(evoaug["augmentations"])
    shift["per_sequence"] = shift["per_sequence"] or min(2, listed)
    drawn = [("evoaug.per_batch", evoaug["per_batch"], "evoaug")]
    if "evoaug" in dynamic["modes"]:
        drawn.append(("dynamic_augmentation.per_batch", dynamic["per_batch"], "evoaug"))
    if "moderate" in shift["kinds"]:
        drawn.append(("shift.per_sequence", shift["per_sequence"], "evoaug"))
    if distillation["copies"]:
        drawn.append(("distillation.per_sequence", distillation["per_sequence"], "distillation"))
    for key, number, section in drawn:
        listed = len(config[section]["augmentations"])
        if number > listed:
            raise InputError(
                f"{key}: {number} is more than the {listed} of {section}.augmentations; write a "
                "smaller number or list more."
            )
    for section in ("evoaug", "distillation"):
        for name, parameters in config[section]["parameters"].items():
            for least, most in (("min_length", "max_length"), ("min_shift", "max_shift")):
                if least in parameters and parameters[least] > parameters[most]:
                    raise InputError(
                        f"{section}.parameters.{name}.{least}: {parameters[least]} is above the "
                        f"{most}, {parameters[most]}; write a smaller one."
                    )


def _check_attribution(config: Config) -> None:
    settings, data = config["attribution"], config["data"]
    option = ingest.source_of(data).test_size
    if option is None or not settings["methods"]:
        return  # how many test sequences there are is known after they are read
    n_test, bins, per_bin = data[option], settings["bins"], settings["per_bin"]
    if bins * per_bin > n_test:
        raise InputError(
            f"attribution.bins: {bins} bins of {per_bin} (per_bin) need {bins * per_bin} test "
            f"sequences, but data.{option} is {n_test}; write a smaller number of either."
        )
    drawn = [key for name in settings["methods"] for key in METHODS[name].of_test]
    for key in dict.fromkeys(["top_n", *drawn]):
        if settings[key] > n_test:
            raise InputError(
                f"attribution.{key}: {settings[key]} is more than the {n_test} sequences of "
                f"data.{option}; write a smaller number."
            )


def _check_arms(config: Config) -> None:
    study = expand_arms(config["arms"])
    for section in ("dynamic_augmentation", "attribution"):
        try:
            choose_arms(study, config[section]["arms"] or [])
        except InputError as error:
            raise InputError(f"{section}.arms: {error}") from None
