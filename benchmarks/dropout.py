"""Monte-Carlo dropout: passes that share what comes before the first dropout, beside predictions.

Cases take turns in one process, after a warm-up of each, every other round in reverse order. Read
the ratios and not the seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from degu.models.draw import new_member
from degu.models.registry import REGISTRY, build
from degu.ops.runtime import set_compute_threads
from degu.training.batches import Batches, predict
from degu.training.dropout import DropoutPasses, dropout_on

PREDICTIONS = 10
"""That are timed at once, and counted for all passes; whole passes too."""

TARGET = 0.3


def times(function, repeats=1):
    """Wall and CPU seconds of some calls."""
    begun = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        function()
    return time.perf_counter() - begun[0], time.process_time() - begun[1]


def whole_passes(model):
    """A function from sequences to the predictions of a pass through the whole model."""
    with dropout_on(model):
        spec = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
        once = tf.function(lambda x: model(x, training=False)).get_concrete_function(spec)

    def passed(x):
        batches = Batches(x, batch_size=512)
        for i in range(len(batches)):
            once(tf.convert_to_tensor(batches[i][0]))

    return passed


def compare(name, x, passes, rounds):
    """Wall and CPU seconds of all passes by each case, {name: (rounds, 2)}."""
    model = new_member(build(name, x.shape[1:], 2), 1)
    scale = passes / PREDICTIONS
    cases = {
        "passes": (partial(DropoutPasses(model, 1, passes), x), 1, 1),
        "predictions": (partial(predict, model, x), PREDICTIONS, scale),
        "whole passes": (partial(whole_passes(model), x), PREDICTIONS, scale),
    }
    for function, _, _ in cases.values():
        function()
    seconds = {case: [] for case in cases}
    for i in range(rounds):
        for case in list(cases)[:: -1 if i % 2 else 1]:
            function, repeats, factor = cases[case]
            seconds[case].append(factor * np.array(times(function, repeats)))
    return {case: np.array(values) for case, values in seconds.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architectures", nargs="+", choices=REGISTRY, default=list(REGISTRY))
    parser.add_argument("--sequences", type=int, default=1000)
    parser.add_argument("--length", type=int, default=249, help="bp")
    parser.add_argument("--passes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1, help="the config's compute_threads")
    parser.add_argument("--json", type=Path, help="write all rounds to this file")
    args = parser.parse_args()

    set_compute_threads(args.threads)
    codes = np.random.default_rng(0).integers(0, 4, (args.sequences, args.length))
    x = np.eye(4, dtype=np.uint8)[codes]
    results = {}
    for name in args.architectures:
        seconds = compare(name, x, args.passes, args.rounds)
        print(f"\n{name}: {args.passes} passes of {args.sequences:,} sequences")
        for case, values in seconds.items():
            wall, cpu = np.median(values, axis=0)
            print(f"  {case:<14} {wall:8.2f} s wall, {cpu:8.2f} s CPU")
        ratios = {}
        for other in ("predictions", "whole passes"):
            ratio = seconds["passes"][:, 1] / seconds[other][:, 1]
            ratios[other] = ratio.tolist()
            low, high = ratio.min(), ratio.max()
            print(f"  by {other:<12} {statistics.median(ratio):.4f} [{low:.4f}, {high:.4f}] CPU")
        results[name] = {"ratios": ratios, **{k: v.tolist() for k, v in seconds.items()}}
    worst = max(statistics.median(own["ratios"]["predictions"]) for own in results.values())
    met = "met" if worst <= TARGET else "missed"
    print(
        f"\nAll passes take at most {worst:.3f} times {args.passes} predictions by CPU time: the "
        f"target of {TARGET} is {met}."
    )
    if args.json:
        args.json.write_text(json.dumps({"options": {**vars(args), "json": None}, **results}))


if __name__ == "__main__":
    main()
