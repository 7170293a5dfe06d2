"""Architectures, one a file, and the registry that lets a config name them.

An architecture is a function from (input shape, output dimension) to an uncompiled Keras model.
Importing this package does not import TensorFlow.
"""

from degu.models.registry import REGISTRY, architecture, build

__all__ = ["REGISTRY", "architecture", "build"]
