"""Files of attribution maps, by member, pool and arm."""

from degu.attribution.names import distance_name, map_name, member_name, stdev_name


def map_files(folder, ix, kinds, method):
    """Maps of the most active sequences: a file for each target and kind of head."""
    return [
        f"{folder}/{map_name(ix, TOP_N, target, kind, method)}"
        for target, kind in product(TARGETS, kinds)
    ]


def distance_files(folder, ix, method):
    """How far a member's maps are from the teachers' average: a file for each target."""
    return [
        f"{folder}/{distance_name(ix, TOP_N, target, method)}" for target in TARGETS
    ]


def spread_files(folder, method):
    """How far the maps of a folder's models are from each other: a file for each target."""
    return [f"{folder}/{stdev_name(TOP_N, target, method)}" for target in TARGETS]


def of_methods(files, *arguments):
    """Files of every method, by one of the functions above."""
    return [path for method in METHODS for path in files(*arguments, method)]


def student_files(one_arm):
    """The files of an arm's students that need the maps of all of them, or of the teachers."""
    files = []
    for kind, method in product(config["students"]["uncertainty"], METHODS):
        folder = one_arm.replace("{uncertainty}", kind)
        files += map_files(folder, "avg", ["mean", kind], method)
        files += spread_files(folder, method)
        for ix in REPLICATES:
            files += distance_files(folder, ix, method)
    return files


def method_settings(method):
    """Only what a method goes by, so that the settings of another one make nothing again."""
    if method in ("saliency", "ism"):
        return {}
    settings = config["attribution"]
    references = {"shap": "shared", "shap_dinuc_shuffle": "shuffles"}[method]
    return {
        references: settings["references"],
        "hypothetical": settings["hypothetical"],
    }


def maps_of(members, folder, methods):
    """Files of members' maps, each with its identity and method."""
    return [
        (
            f"{member_path(folder, identity)}/{member_name(identity['member'], method)}",
            {**identity, "method": method},
        )
        for (_, identity), method in product(members, methods)
    ]


def pool_maps(wildcards):
    """Maps of the teachers of a pool, or of the one that is named, by every method."""
    arms = [
        arm
        for arm in ATTRIBUTION_ARMS
        if (arm.augmentation, arm.wildcards["proportion"])
        == (wildcards.augmentation, wildcards.proportion)
    ]
    teachers = [
        (folder, identity)
        for folder, identity in teachers_of(arms)
        if str(identity["member"]) == wildcards.get("ix", str(identity["member"]))
    ]
    return maps_of(teachers, MAPS_TEACHERS, METHODS)


def arm_maps(wildcards, role):
    """Maps of an arm's teachers or students, by every method."""
    if role == "teacher":
        return maps_of(teachers_of(arm_of(wildcards)), MAPS_TEACHERS, METHODS)
    return maps_of(students_of(arm_of(wildcards)), MAPS_STUDENTS, METHODS)


def attribution_files(arms):
    """All that the study keeps about attribution for some arms."""
    if not arms:
        return []
    files = [ATTRIBUTION_SEQUENCES, f"{RESULTS}/attribution_summary.csv"]
    teachers = maps_of(teachers_of(arms), MAPS_TEACHERS, METHODS)
    students = maps_of(students_of(arms), MAPS_STUDENTS, METHODS)
    for path, identity in teachers + students:
        folder, method = os.path.dirname(path), identity["method"]
        kinds = ["mean", *filter(None, [identity.get("uncertainty")])]
        files += [path, *map_files(folder, identity["member"], kinds, method)]
        if "uncertainty" not in identity:
            files += distance_files(folder, identity["member"], method)
            files += map_files(folder, "avg", ["mean"], method)
            files += spread_files(folder, method)
    for arm in arms:
        own = [ATTRIBUTION_ARM, ATTRIBUTION_TABLE, *student_files(MAPS_STUDENTS)]
        files += [path.format(**arm.wildcards) for path in own]
    return list(dict.fromkeys(files))


def attribution_figures(arms):
    """The figures of attribution, a set for each arm."""
    kinds = ["attribution", "attribution_scatter"]
    kinds += ["attribution_bins"] if config["attribution"]["bins"] else []
    kinds += ["attribution_truth"] if PLANTED else []
    names = [f"{kind}/{ENSEMBLE_JOB}" for kind in kinds] + [
        f"attribution_logos/{ENSEMBLE_JOB}_{target}_{method}"
        for target, method in product(TARGETS, METHODS)
    ]
    return [
        f"{RESULTS}/figures/{name}.{suffix}".format(**arm.wildcards)
        for arm, name, suffix in product(arms, names, ["pdf", "png"])
    ]


def logo_maps(wildcards, role):
    """Maps that are drawn beside the ensemble's, by one target and method: a few models."""
    if role == "teacher":
        teachers = teachers_of(arm_of(wildcards))[:2]
        return maps_of(teachers, MAPS_TEACHERS, [wildcards.method])
    students = [s for s in students_of(arm_of(wildcards)) if s[1]["member"] == 1]
    return maps_of(students, MAPS_STUDENTS, [wildcards.method])
