"""Training throughput: degu beside a plain Keras fit, metrics, XLA, copies, precise batch norm.

Every comparison interleaves its cases in one process, after a warm-up epoch of each: a round is one
short epoch of every case, and every other round takes them in reverse order. A round's time is that
of its median batch. A busy machine slows the cases of a round alike, so read the ratios and not the
sequences per second.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")  # as jobs have it

import keras
import numpy as np

from degu import models
from degu.dataset.copies import Copier
from degu.heads import Heads
from degu.ingest.simulate import TARGETS, simulate
from degu.ops.runtime import set_compute_threads
from degu.training.batch_norm import SEQUENCES, PreciseAverages
from degu.training.fit import head_errors, standard_train_fun

HEADS = Heads(TARGETS)
# No multiple of the batch size, like the 402,296 of DeepSTARR: where it is one, a plain fit tells
# TensorFlow that every batch has 128 sequences, and gains a few per cent that real data do not.
DEFAULT_SEQUENCES = 16 * 128 + 120


class Stopwatch(keras.callbacks.Callback):
    """Wall and CPU seconds of each batch, from the end of the one before it.

    The first batch is left out, and with it what starts an epoch.
    """

    async_safe = True  # otherwise Keras would wait for every batch's metrics on its account

    def __init__(self):
        super().__init__()
        self.ends = []

    def on_train_batch_end(self, batch, logs=None):
        self.ends.append((time.perf_counter(), time.process_time()))

    def median(self):
        """Wall and CPU seconds of a typical batch of the epoch."""
        return np.median(np.diff(self.ends, axis=0), axis=0)


class Case:
    """A compiled model and one way to train it.

    Args:
        path: ``degu`` trains on bytes through ``standard_train_fun`` with its own callbacks and its
            line an epoch, ``plain`` on float32 arrays through ``model.fit`` without callbacks.
        metrics: whether the squared error of each head is followed beside the loss.
        jit_compile: as in ``compile``.
        network: ``deepstarr``, or ``mean`` for one that computes next to nothing, so that what is
            left is the cost of feeding and of callbacks.
        copies: how many augmented copies of each sequence batches mix with the sequences.
    """

    def __init__(
        self,
        data,
        batch_size,
        path="degu",
        metrics=True,
        jit_compile="auto",
        network="deepstarr",
        copies=0,
    ):
        self.x, self.y = data
        self.batch_size, self.path = batch_size, path
        self.model = models.build(NETWORKS[network], self.x.shape[1:], len(HEADS))
        self.model.compile(
            keras.optimizers.Adam(1e-3),
            keras.losses.MeanSquaredError(),
            metrics=head_errors(HEADS) if metrics else None,
            jit_compile=jit_compile,
        )
        if path == "plain":
            self.x = self.x.astype(np.float32)
        self.copies = None
        if copies:
            labels = np.repeat(self.y[:, None], copies, axis=1)
            self.copies = Copier(1, copies).labelled(self.x, labels)

    def epoch(self, seed):
        """Train for one epoch; wall and CPU seconds of a batch, (2,)."""
        stopwatch = Stopwatch()
        if self.path == "plain":
            self.model.fit(
                self.x, self.y, batch_size=self.batch_size, verbose=0, callbacks=[stopwatch]
            )
        else:
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
                # With neither optimizer nor loss it keeps the compile, and so the traced step.
                standard_train_fun(
                    self.model,
                    self.x,
                    self.y,
                    validation_data=None,
                    save_prefix=None,
                    epochs=1,
                    batch_size=self.batch_size,
                    seed=seed,
                    copies=self.copies,
                    batch_norm="moving",  # it costs the end of an epoch, which is left out here
                    callbacks=[stopwatch],
                )
        return stopwatch.median()


def mean(input_shape, output_dim):
    """A model of one dense layer on the mean over positions."""
    inputs = keras.Input(input_shape)
    pooled = keras.layers.GlobalAveragePooling1D()(inputs)
    return keras.Model(inputs, keras.layers.Dense(output_dim)(pooled))


# Of small, middle and large assays.
EPOCHS = (6_000, 42_845, 402_296)
NETWORKS = {"deepstarr": "deepstarr", "mean": f"{__name__}:mean"}

# Of each: the case that is judged, then what it is compared with.
COMPARISONS = {
    "path": {
        "degu, uint8": {},
        "plain fit, float32": {"path": "plain"},
    },
    "feeding": {
        "degu, uint8": {"network": "mean"},
        "plain fit, float32": {"path": "plain", "network": "mean"},
    },
    "noise": {
        "plain fit": {"path": "plain"},
        "the same again": {"path": "plain"},
    },
    "metrics": {
        "metric a head": {},
        "loss alone": {"metrics": False},
    },
    "copies": {
        "four copies": {"copies": 4},
        "sequences alone": {},
    },
    "jit": {
        "auto": {},
        "off": {"jit_compile": False},
        "on": {"jit_compile": True},
    },
}


AVERAGES = "batch_norm"
CHOICES = [*COMPARISONS, AVERAGES]


def compare(cases, data, batch_size, rounds):
    """Wall and CPU seconds of a batch of every case, {name: (rounds, 2)}."""
    cases = {name: Case(data, batch_size, **settings) for name, settings in cases.items()}
    for case in cases.values():
        case.epoch(seed=0)
    seconds: dict[str, list] = {name: [] for name in cases}
    for i in range(rounds):
        for name in list(cases)[:: -1 if i % 2 else 1]:
            seconds[name].append(cases[name].epoch(seed=i + 1))
    return {name: np.array(values) for name, values in seconds.items()}


def summarize(seconds):
    """Seconds a batch of each case, and the speed of the first in ratio to the others, by round."""
    first, *others = seconds
    clocks = {"wall": 0, "cpu": 1}
    return {
        "seconds": {
            name: {clock: values[:, i].tolist() for clock, i in clocks.items()}
            for name, values in seconds.items()
        },
        "ratios": {
            f"{first} / {other}": {
                clock: (seconds[other][:, i] / seconds[first][:, i]).tolist()
                for clock, i in clocks.items()
            }
            for other in others
        },
    }


def interval(values):
    """The median, and its 90% bootstrap interval over rounds."""
    draws = np.random.default_rng(0).choice(values, (2000, len(values)))
    low, high = np.quantile(np.median(draws, axis=1), (0.05, 0.95))
    return statistics.median(values), low, high


def averages(data, batch_size, rounds):
    """What the averages of precise batch norm cost, in shares of an epoch without validation.

    Returns:
        For each size of data set, a share by CPU time for each round.
    """
    case = Case(data, batch_size)
    x = np.resize(data[0], (SEQUENCES, *data[0].shape[1:]))
    renew = PreciseAverages(case.model, x)
    case.epoch(seed=0)
    renew()
    shares = {n: [] for n in EPOCHS}
    for i in range(rounds):
        _, step = case.epoch(seed=i + 1)
        start = time.process_time()
        renew()
        seconds = time.process_time() - start
        for n, found in shares.items():
            taken = seconds * min(n, SEQUENCES) / SEQUENCES
            found.append(taken / (step * -(-n // batch_size)))
    return shares


def print_shares(shares):
    print("\nbatch norm: averages of up to 4,096 sequences, share of an epoch by CPU time")
    for n, values in shares.items():
        median, low, high = interval(values)
        print(f"  {n:>7,} sequences {100 * median:6.1f}% [{100 * low:.1f}, {100 * high:.1f}]")


def print_table(comparison, result, batch_size):
    print(f"\n{comparison}")
    for name, seconds in result["seconds"].items():
        wall, cpu = (statistics.median(seconds[clock]) for clock in ("wall", "cpu"))
        print(
            f"  {name:<36} {batch_size / wall:7.0f} sequences/s, a batch {1e3 * wall:.2f} ms "
            f"(CPU {1e3 * cpu:.2f})"
        )
    for name, ratios in result["ratios"].items():
        for clock, values in ratios.items():
            median, low, high = interval(values)
            rounds = " ".join(f"{value:.2f}" for value in values)
            print(f"  {name:<36} {median:7.3f} [{low:.3f}, {high:.3f}] {clock}: {rounds}")


def verdict(result):
    (ratios,) = result["ratios"].values()
    median, low, high = interval(ratios["wall"])
    cpu = statistics.median(ratios["cpu"])
    met = "met" if low >= 1 else "missed" if high < 1 else "within the noise"
    return (
        f"degu trains at {median:.3f} times the throughput of a plain fit (90% interval "
        f"{low:.3f} to {high:.3f}; {cpu:.3f} by CPU time): the target of 1 is {met}."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--comparisons", nargs="+", choices=CHOICES, default=list(CHOICES))
    parser.add_argument("--sequences", type=int, default=DEFAULT_SEQUENCES, help="an epoch")
    parser.add_argument("--length", type=int, default=249, help="bp")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2, help="the config's compute_threads")
    parser.add_argument("--json", type=Path, help="write all rounds to this file")
    args = parser.parse_args()

    set_compute_threads(args.threads)
    simulation = simulate(args.sequences, length=args.length)
    data = simulation.x, simulation.replicates.mean(axis=0).astype(np.float32)
    results = {}
    for name in args.comparisons:
        if name == AVERAGES:
            results[name] = averages(data, args.batch_size, args.rounds)
            print_shares(results[name])
            continue
        seconds = compare(COMPARISONS[name], data, args.batch_size, args.rounds)
        results[name] = summarize(seconds)
        print_table(name, results[name], args.batch_size)
    if "path" in results:
        print(f"\n{verdict(results['path'])}")
    if args.json:
        args.json.write_text(json.dumps({"options": {**vars(args), "json": None}, **results}))


if __name__ == "__main__":
    main()
