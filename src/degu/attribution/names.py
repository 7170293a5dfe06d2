"""Names of files of attribution maps. Each part may be a pattern too, such as ``{ix}``."""

from __future__ import annotations


def member_name(ix: object, method: str) -> str:
    """File of all maps of one model."""
    return f"{ix}_{method}.h5"


def map_name(ix: object, top_n: object, target: str, kind: str, method: str) -> str:
    """File of one head's maps of the most active sequences; ``ix`` is ``avg`` for an average."""
    return f"{ix}_top{top_n}_{target}-{kind}_{method}.npy"


def distance_name(ix: object, top_n: object, target: str, method: str) -> str:
    """File of how far a model's maps of activity are from the average of the teachers."""
    return f"{ix}_top{top_n}_{target}_{method}_euclidean_dist.npy"


def stdev_name(top_n: object, target: str, method: str) -> str:
    """File of how far the maps of activity of a folder's models are from each other."""
    return f"top{top_n}_{target}_{method}_stdev.npy"
