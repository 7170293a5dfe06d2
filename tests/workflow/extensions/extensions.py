"""One of everything that a study can have, registered from outside of the package."""

from pathlib import Path

HERE = Path(__file__).parent


def register():
    """Enter each in its registry."""
    import degu.ingest
    import degu.models
    from degu import baselines
    from degu.attribution import methods
    from degu.baselines.baseline import Baseline
    from degu.kinds import Kind
    from degu.metrics import METRICS
    from degu.models.registry import REGISTRY
    from degu.plots import catalogue

    # An architecture: a module of degu.models with a function of its own name, and a line.
    degu.models.__path__.append(str(HERE / "models"))
    REGISTRY["linear"] = "Linear"
    # A baseline: the kind of its models (what they learn, how many, where), and its law.
    kind = Kind(
        "average",
        role="average",
        label="average",
        folder="baselines/average",
        shift_folder="average",
        number=lambda config, size: 2,
        trainer="extension_parts:train_average",
    )
    baselines.register(
        Baseline("average", "average", ("average",), "degu.calibration.forms:single", kind)
    )
    # An attribution method: who makes its maps, and how importance is taken from them.
    methods.register(
        methods.Method("letters", "the letters\nthemselves", "extension_parts:make_letters", "sum")
    )
    # A metric, and a figure of it.
    METRICS["Bias"] = lambda y, pred: (pred - y).mean(axis=0)
    catalogue.register(
        catalogue.Figure(
            "bias",
            "how far predictions are off on average",
            "Test sequences",
            source="summary",
            part="all",
            draw="extension_parts:draw_bias",
            caption=str(HERE / "bias.rst"),
        )
    )
    # A source of data, with its options beside its module.
    degu.ingest.register(degu.ingest.Source("letters", "letters_source"))
