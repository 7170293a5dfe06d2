"""Files of ensembles, of shifted sequences and of figures, by arm."""


def subset_sequences(wildcards):
    """The copied sequences of a subset; the whole training set needs none."""
    if float(wildcards.proportion) == 1:
        return []
    return f"{RESULTS}/subsets/downsample_{wildcards.proportion}.h5"


def teacher_models(wildcards):
    """Models of the first n members."""
    pool = {name: wildcards[name] for name in ("augmentation", "proportion")}
    members = range(1, int(wildcards.size) + 1)
    return [member_models(TEACHERS, {**pool, "member": ix})[-1] for ix in members]


def ensemble_files(arms):
    """All files of some ensembles, and what their students learn from."""
    patterns = (
        f"{POOL}/subset.npy",
        f"{ENSEMBLE}/ensemble_avg_y_train.npy",
        f"{ENSEMBLE}/ensemble_std_train.npy",
        f"{ENSEMBLE}/ensemble_std_val.npy",
        ENSEMBLE_STD,
        ENSEMBLE_PERFORMANCE,
        DISTILLATION,
    )
    files = [path.format(**arm.wildcards) for arm in arms for path in patterns]
    # Distillation files link to these.
    proportions = {arm.wildcards["proportion"] for arm in arms if arm.proportion < 1}
    return files + [f"{RESULTS}/subsets/downsample_{p}.h5" for p in sorted(proportions)]


def shift_members(members, pattern):
    """Members with their predictions on the test set and on its shifted sequences."""
    return [
        (member_predictions(folder, identity), member_path(pattern, identity), identity)
        for folder, identity in members
    ]


def shift_teachers(arms):
    """Predictions of the teachers of some arms: (test set, shifted sequences, identity)."""
    return shift_members(teachers_of(arms), SHIFT_TEACHER)


def shift_students(arms):
    """The same of their students."""
    plain = shift_members(students_of(arms), SHIFT_STUDENT)
    return plain + shift_members(dynamic_students_of(arms), SHIFT_DYNAMIC)


def shift_files(arms):
    """All that the study keeps about shifted sequences for some arms."""
    if not SHIFT_SETTINGS["kinds"]:
        return []
    patterns = (SHIFT_ENSEMBLE, SHIFT_TABLE)
    members = shift_teachers(arms) + shift_students(arms)
    return [
        SHIFT_FILE,
        *(path for _, path, _ in members),
        *(path.format(**arm.wildcards) for arm in arms for path in patterns),
    ]


def arm_of(wildcards):
    """The arm that wildcards name, as the only one of a list."""
    named = {key: wildcards[key] for key in ("augmentation", "proportion", "size")}
    return [arm for arm in ARMS if arm.wildcards == named]


def shift_figures(arms):
    """The figures of shifted sequences, a set for each arm."""
    names = ["shift", "shift_distribution"] if SHIFT_SETTINGS["kinds"] else []
    pattern = f"{RESULTS}/figures/{{name}}/{ENSEMBLE_JOB}.{{format}}"
    return [
        pattern.format(name=name, format=suffix, **arm.wildcards)
        for arm, name, suffix in product(arms, names, ["pdf", "png"])
    ]


def figure_files(part):
    """The figures of a part, and the summary that they are drawn from."""
    names = PART_FIGURES[part]
    files = expand(
        f"{RESULTS}/figures/{{name}}.{{format}}", name=names, format=["pdf", "png"]
    )
    summary = "summary" if part == "all" else f"summaries/{part}"
    return [f"{RESULTS}/{summary}.csv", *files] if PART_ARMS[part] else []
