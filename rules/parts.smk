"""The parts of a study that a person may ask for alone: their arms, members and files."""


def swept(over):
    """The arms that differ from others in one thing alone."""
    return [arm for group in sweeps(ARMS, over).values() for arm in group]


# The arms of what a person may ask for on its own.
PART_ARMS = {
    "all": list(ARMS),
    "size_sweep": swept("size"),
    "downsampling": swept("proportion"),
    "evoaug": list(
        dict.fromkeys(
            [a for a in ARMS if a.augmentation == "evoaug"] + swept("augmentation")
        )
    ),
    "dynamic_augmentation": list(DYNAMIC_ARMS) if DYNAMIC_SETTINGS["modes"] else [],
}


# The figures of each part, where the study has something to show in them.
PART_FIGURES = {
    "all": ["performance"],
    "size_sweep": ["performance_vs_size", "fidelity_vs_size"] if swept("size") else [],
    "downsampling": (
        ["performance_vs_proportion", "fidelity_vs_proportion"]
        if swept("proportion")
        else []
    ),
    "evoaug": ["evoaug"] if swept("augmentation") else [],
    "dynamic_augmentation": (
        ["dynamic_augmentation"] if DYNAMIC_SETTINGS["modes"] else []
    ),
}


def part_files(part):
    """All files of a part; what lies behind them is made with them."""
    if part == "shift":
        return shift_files(ARMS) + shift_figures(ARMS)
    if part == "attribution":
        return attribution_files(ATTRIBUTION_ARMS) + attribution_figures(
            ATTRIBUTION_ARMS
        )
    arms = PART_ARMS[part]
    members = teachers_of(arms) + students_of(arms)
    if part in ("all", "dynamic_augmentation"):
        members += dynamic_students_of(arms)
    figures = sum(map(figure_files, PART_ARMS if part == "all" else [part]), [])
    return files_of(members) + ensemble_files(arms) + figures


# What a study without a part would have to have.
NEEDED = {
    "size_sweep": "arms that differ in ensemble size alone; list several ensemble_sizes",
    "downsampling": "arms that differ in proportion alone; list several proportions",
    "evoaug": "arms with evoaug; add it to augmentations",
    "dynamic_augmentation": "students with dynamic augmentation; list dynamic_augmentation.modes",
    "shift": "shifted sequences; list shift.kinds",
    "attribution": "a method; list some in attribution.methods",
}


def part(name):
    """An input function: the files of a part; a study without it ends with a sentence."""

    def files(wildcards):
        made = part_files(name)
        if not made:
            sys.exit(f"error in the config: {name} needs {NEEDED[name]}.")
        return made

    return files


def part_members(wildcards, role):
    """The teachers or the students of a part's summary, each table with its identity."""
    part = wildcards.get("part", "all")
    members = (teachers_of if role == "teacher" else students_of)(PART_ARMS[part])
    if role == "student" and part in ("all", "dynamic_augmentation"):
        members = members + dynamic_students_of(PART_ARMS[part])
    return tables_of(members)


def part_ensembles(wildcards, pattern):
    """A file of every ensemble of a part's summary."""
    arms = PART_ARMS[wildcards.get("part", "all")]
    return [pattern.format(**arm.wildcards) for arm in arms]


def part_shift(wildcards):
    """What models say of shifted sequences is in the summary of the whole study only."""
    if "part" in wildcards.keys() or not SHIFT_SETTINGS["kinds"]:
        return []
    return part_ensembles(wildcards, SHIFT_TABLE)
