"""Members of the study: what tells them from each other, and where their files lie.

A member is a pair: the pattern of its folder, and its identity (values of columns of the summary).
"""


def member_seed(role):
    """The seed of a rule's member, as a params function: its wildcards are its identity."""

    def seed(wildcards):
        names = ("augmentation", "proportion", "size", "variant")
        identity = {name: wildcards[name] for name in names if name in wildcards.keys()}
        own = dict(wildcards.items())
        folders = {
            "teacher": TEACHERS,
            "student": STUDENTS,
            "dynamic student": DYNAMIC,
        }
        if role in folders:
            drawn = first_model(folders[role], {"member": own.pop("ix"), **own})
            if draws := config["reseed"].count(drawn):
                identity["draw"] = draws + 1
        return derive_seed(config["seed"], role, member=wildcards.ix, **identity)

    return seed


def teachers_of(arms):
    """Every teacher of some arms."""
    return [
        (
            TEACHERS,
            {"augmentation": augmentation, "proportion": proportion, "member": ix},
        )
        for (augmentation, proportion), size in pool_sizes(arms).items()
        for ix in range(1, size + 1)
    ]


def students_of(arms):
    """Every student of some arms, without dynamic augmentation."""
    kinds = config["students"]["uncertainty"]
    return [
        (STUDENTS, {**asdict(arm), "member": ix, "uncertainty": uncertainty})
        for arm, uncertainty, ix in product(arms, kinds, REPLICATES)
    ]


def dynamic_students_of(arms):
    """Every student of some arms with dynamic augmentation."""
    modes, batches = DYNAMIC_SETTINGS["modes"], DYNAMIC_SETTINGS["batches"]
    variants = [
        str(Variant(m, append=b == "append")) for m, b in product(modes, batches)
    ]
    kind = {"uncertainty": DYNAMIC_SETTINGS["uncertainty"]}
    return [
        (DYNAMIC, {**asdict(arm), "member": ix, "variant": variant, **kind})
        for arm, variant, ix in product(arms, variants, REPLICATES)
        if arm in DYNAMIC_ARMS
    ]


def stages_of(identity):
    """Suffixes of a member's stages: what is trained on augmented sequences is fine-tuned."""
    augmented = "variant" in identity or identity["augmentation"] == "evoaug"
    return ["_aug", "_finetune"] if augmented else [""]


def member_path(pattern, identity):
    """A path of a member: a pattern with its identity in place of the wildcards."""
    values = {**identity, "proportion": format_proportion(identity["proportion"])}
    return pattern.format(ix=identity["member"], **values)


def member_names(folder, identity):
    """What the paths of a member's models begin with, and those of its other files."""
    start = f"{member_path(folder, identity)}/{identity['member']}"
    variant = f"_{identity['variant']}" if "variant" in identity else ""
    return f"{start}_{MODEL}{variant}", f"{start}{variant}"


def member_models(folder, identity):
    """A member's models; the last one is the member."""
    name, _ = member_names(folder, identity)
    return [f"{name}{stage}.h5" for stage in stages_of(identity)]


def first_model(folder, identity):
    """The model that a member's own seed decides; fine-tuning starts from it."""
    return member_models(folder, identity)[0]


def member_predictions(folder, identity):
    """A member's predictions on the data set."""
    return f"{member_names(folder, identity)[1]}_predictions.h5"


def member_tables(folder, identity):
    """A member's performance tables, each with its identity for the summary."""
    _, name = member_names(folder, identity)
    # The fine-tuned model is the member.
    stage = {"_aug": {"stage": "aug"}}
    return [
        (f"{name}_performance{suffix}.csv", {**identity, **stage.get(suffix, {})})
        for suffix in stages_of(identity)
    ]


def tables_of(members):
    """The performance tables of members, each with its identity for the summary."""
    return [table for member in members for table in member_tables(*member)]


def files_of(members):
    """All that the study keeps of members: models, histories, predictions, performance."""
    files = [path for path, _ in tables_of(members)]
    for folder, identity in members:
        _, name = member_names(folder, identity)
        files += [f"{name}_history{suffix}.csv" for suffix in stages_of(identity)]
        files += member_models(folder, identity)
        files.append(member_predictions(folder, identity))
    return files


def final_model(folder):
    """An input function: the model that is a member, from the member's wildcards."""

    def path(wildcards):
        identity = dict(wildcards.items())
        return member_models(folder, {"member": identity.pop("ix"), **identity})[-1]

    return path


def first_members(pattern):
    """An input function: the path of each of the first n members of an ensemble."""

    def paths(wildcards):
        own = dict(wildcards.items())
        members = range(1, int(wildcards.size) + 1)
        return [pattern.format(**{**own, "ix": ix}) for ix in members]

    return paths
