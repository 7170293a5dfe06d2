"""What a config means beyond its schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from degu.errors import InputError
from degu.models.registry import REGISTRY
from degu.study.config.schema import Schema, fill
from degu.study.config.wording import did_you_mean, missing_key
from degu.sweep import choose_arms, expand_arms


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
    module, _, function = model.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), function)):
        raise InputError(
            f"model: {model!r} is neither a known architecture ({', '.join(REGISTRY)}) nor a "
            "function of your own (my_package.my_module:build); "
            f"{did_you_mean(model, REGISTRY) or 'write one of the two.'}"
        )
    if model_name is None:
        raise InputError(
            f"model_name: is missing; name {model} for its files, for example `model_name: MyNet`."
        )
    return model_name


# What a schema cannot say
def check_meaning(config: dict[str, Any], rules: Schema) -> None:
    data, targets = config["data"], config["targets"]
    if targets is None:
        raise InputError(missing_key("targets", rules["properties"]["targets"]))
    if "metric" in targets:
        raise InputError(
            "targets: metric is the name of another column of the results; rename the target."
        )
    if config["dataset"] == "simulated" and data["source"] != "simulate":
        raise InputError(
            "dataset: simulated is the name of the embedded study; give yours a name of its own, "
            "for example `dataset: my_assay`."
        )
    display_name(config)
    if data["source"] == "table":
        _check_table(data, targets, rules["properties"]["data"]["properties"]["split"])
    if data["source"] == "deepstarr":
        _check_release(data)
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
    _check_augmentation(config)
    _check_attribution(config)
    study = expand_arms(config["arms"])
    for section in ("dynamic_augmentation", "attribution"):
        try:
            choose_arms(study, config[section]["arms"] or [])
        except InputError as error:
            raise InputError(f"{section}.arms: {error}") from None


def _check_attribution(config: dict[str, Any]) -> None:
    settings, data = config["attribution"], config["data"]
    if data["source"] != "simulate" or not settings["methods"]:
        return  # how many test sequences there are is known after they are read
    n_test, bins, per_bin = data["n_test"], settings["bins"], settings["per_bin"]
    if bins * per_bin > n_test:
        raise InputError(
            f"attribution.bins: {bins} bins of {per_bin} (per_bin) need {bins * per_bin} test "
            f"sequences, but data.n_test is {n_test}; write a smaller number of either."
        )
    for key in ("top_n", "references") if "shap" in settings["methods"] else ("top_n",):
        if settings[key] > n_test:
            raise InputError(
                f"attribution.{key}: {settings[key]} is more than the {n_test} sequences of "
                "data.n_test; write a smaller number."
            )


def _check_augmentation(config: dict[str, Any]) -> None:
    """Also gives what depends on other keys its default."""
    evoaug, dynamic, shift = (config[k] for k in ("evoaug", "dynamic_augmentation", "shift"))
    kinds = config["students"]["uncertainty"]
    dynamic["uncertainty"] = dynamic["uncertainty"] or kinds[0]
    if dynamic["modes"] and dynamic["uncertainty"] not in kinds:
        raise InputError(
            f"dynamic_augmentation.uncertainty: {dynamic['uncertainty']} is not one of "
            f"students.uncertainty, {', '.join(kinds)}, so these students would have none to be "
            "compared with; write one of them or add it there."
        )
    shift["per_sequence"] = shift["per_sequence"] or min(2, len(evoaug["augmentations"]))
    drawn = {"evoaug.per_batch": evoaug["per_batch"]}
    if "evoaug" in dynamic["modes"]:
        drawn["dynamic_augmentation.per_batch"] = dynamic["per_batch"]
    if "moderate" in shift["kinds"]:
        drawn["shift.per_sequence"] = shift["per_sequence"]
    listed = len(evoaug["augmentations"])
    for key, number in drawn.items():
        if number > listed:
            raise InputError(
                f"{key}: {number} is more than the {listed} of evoaug.augmentations; write a "
                "smaller number or list more."
            )
    for name, parameters in evoaug["parameters"].items():
        for least, most in (("min_length", "max_length"), ("min_shift", "max_shift")):
            if least in parameters and parameters[least] > parameters[most]:
                raise InputError(
                    f"evoaug.parameters.{name}.{least}: {parameters[least]} is above the {most}, "
                    f"{parameters[most]}; write a smaller one."
                )


def _check_table(data: dict[str, Any], targets: list[str], split_rules: Schema) -> None:
    """Also gives ``split`` its defaults where no column says how to split."""
    if data["split_column"] is None:
        split = data["split"] = fill(data["split"] or {}, split_rules)
        if split["val"] + split["test"] >= 1:
            raise InputError(
                f"data.split: val {split['val']} and test {split['test']} leave nothing to train "
                "on; write shares that add up to less than 1."
            )
    elif data["split"] is not None:
        raise InputError(
            "data.split: is given beside data.split_column; keep one of the two, a random split or "
            "that of the file."
        )
    for target in data["replicates"]:
        if target not in targets:
            raise InputError(
                f"data.replicates: {target!r} is not one of the targets {', '.join(targets)}; add "
                "it to targets or remove it here."
            )


def _check_release(data: dict[str, Any]) -> None:
    # The full file takes long to download, only to be refused for its row counts afterwards.
    full = "_all.txt"
    if data["release"] == "subset" and data["path"] is None and data["url"].endswith(full):
        raise InputError(
            "data.url: is that of the full release; for `release: subset` write "
            f"{data['url'].removesuffix(full)}_subset.txt."
        )
