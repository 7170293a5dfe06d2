"""DeepSHAP's speed, accuracy and memory, beside shap and beside the least that it could cost.

DeepSTARR with two heads on simulated sequences of 249 bp, 100 dinucleotide shuffles of each as
references. What a method costs at its first call, its second one and for the next model is told
apart. The cases of the comparison take turns in one process, after a warm-up of each, and every
other round takes them in reverse order. A busy machine slows the cases of a round alike, so read
the ratios and not the milliseconds.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import time
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")  # as jobs have it

import keras
import numpy as np
import tensorflow as tf
from training import HEADS, interval

from degu import models
from degu.attribution import explain, mutagenesis, saliency, shuffled_references
from degu.ingest.simulate import simulate
from degu.ops.runtime import set_compute_threads

REFERENCES = 100
LENGTH = 249  # bp
TOP_N = 1000  # sequences of a study, over which what a call costs once is spread
FLOOR_BATCHES = (32, 64, 128, 256)
CALL_SEQUENCES = 4
MEMORY_SEQUENCES = 50  # and four times as many
LEAST_SPEEDUP, MOST_FLOOR, MOST_DIFFERENCE = 10, 1.5, 1e-4
MOST_SHUFFLE = 10  # seconds for TOP_N sequences
MOST_GROWTH = 0.1  # GB for three times MEMORY_SEQUENCES
ALL = range(len(HEADS))


def network(seed=0):
    """DeepSTARR whose batch norms do something."""
    model = models.build("deepstarr", (LENGTH, 4), len(HEADS))
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            channels = layer.gamma.shape
            factors, shifts = (
                rng.uniform(0.5, 1.5, (2, *channels)),
                rng.normal(0, 0.3, (2, *channels)),
            )
            layer.set_weights([factors[0], *shifts, factors[1]])
    return model


def with_shap(model, x, references):
    """(n, L, 4, heads) by an explainer for each sequence, since shap shares one background."""
    import shap

    maps = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for sequence, own in zip(x, references, strict=True):
            explainer = shap.DeepExplainer(model, own.astype(np.float32))
            maps.append(explainer.shap_values(sequence[None].astype(np.float32))[0])
    return np.stack(maps)


class Floor:
    """A compiled forward pass of each pair, and a backward pass to the input for each head."""

    def __init__(self, model, batch_size):
        @tf.function(input_signature=[tf.TensorSpec((batch_size, LENGTH, 4))])
        def passes(x):
            with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
                tape.watch(x)
                columns = tf.unstack(model(x, training=False), axis=1)
            return [tape.gradient(column, x) for column in columns]

        self.passes, self.batch_size = passes, batch_size

    def __call__(self, references):
        pairs = references.reshape(-1, LENGTH, 4)
        for start in range(0, len(pairs) - self.batch_size + 1, self.batch_size):
            batch = pairs[start : start + self.batch_size]
            for gradient in self.passes(tf.convert_to_tensor(batch.astype(np.float32))):
                gradient.numpy()
        return start + self.batch_size  # pairs


def clocked(function, *arguments):
    """Wall and CPU seconds, and the result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function(*arguments)
    return np.array([time.perf_counter() - wall, time.process_time() - cpu]), result


def compare(n, n_shap, rounds):
    """Seconds (wall, CPU) by round: of a pair, of a call, and the largest difference from shap."""
    model = network()
    x = simulate(n, length=LENGTH).x
    references = shuffled_references(x, REFERENCES, seed=1)
    floors = {f"floor, batches of {size}": Floor(model, size) for size in FLOOR_BATCHES}
    seconds: dict[str, list] = {}

    def ours():
        # Two calls tell what a call costs from what a pair costs.
        one, _ = clocked(explain, model, x[:1], references[:1], ALL)
        every, found = clocked(explain, model, x, references, ALL)
        pair = (every - one) / ((n - 1) * REFERENCES)
        return {"degu": pair, "degu, a call": one - pair * REFERENCES}, found

    def floor():
        times = {}
        for name, passes in floors.items():
            spent, pairs = clocked(passes, references)
            times[name] = spent / pairs
        return times, None

    def theirs():
        spent, maps = clocked(with_shap, model, x[:n_shap], references[:n_shap])
        return {"shap": spent / (n_shap * REFERENCES)}, maps

    cases = [ours, floor, theirs]
    for case in cases:
        case()
    difference = 0.0
    for i in range(rounds):
        found = {}
        for case in cases[:: -1 if i % 2 else 1]:
            times, found[case] = case()
            for name, spent in times.items():
                seconds.setdefault(name, []).append(spent)
        wanted = found[theirs]
        maps = found[ours].contributions[:n_shap]
        relative = np.abs(maps - wanted).max(axis=(1, 2)) / np.abs(wanted).max(axis=(1, 2))
        difference = max(difference, float(relative.max()))
    spread = found[ours].prediction - found[ours].expected
    residual = float((np.abs(found[ours].residual).max(axis=0) / spread.std(axis=0)).max())
    return {name: np.array(values) for name, values in seconds.items()}, difference, residual


def print_comparison(seconds, difference, residual):
    print(f"\nDeepSTARR, {len(HEADS)} heads, {LENGTH} bp, {REFERENCES} references a sequence")
    for name, values in seconds.items():
        wall, cpu = 1e3 * np.median(values, axis=0)
        unit = "ms" if name.endswith("call") else "ms a pair"
        print(f"  {name:<24} {wall:9.3f} {unit} (CPU {cpu:.3f})")
    # Its best batch size by either clock.
    floors = np.stack([values for name, values in seconds.items() if name.startswith("floor")])
    best = np.median(floors, axis=1).argmin(axis=0)
    floor = np.stack([floors[best[clock], :, clock] for clock in (0, 1)], axis=1)
    ours = seconds["degu"]
    study = ours + seconds["degu, a call"] / (TOP_N * REFERENCES)
    ratios = {
        "shap / degu": seconds["shap"] / ours,
        f"shap / degu, {TOP_N} sequences": seconds["shap"] / study,
        "degu / floor": ours / floor,
        f"degu / floor, {TOP_N} sequences": study / floor,
    }
    print(f"  {'':<32} {'wall, 90% interval':>26} {'CPU, 90% interval':>26}")
    found = {}
    for name, values in ratios.items():
        found[name] = [interval(clock) for clock in values.T]
        cells = (f"{median:8.2f} [{low:6.2f}, {high:6.2f}]" for median, low, high in found[name])
        print(f"  {name:<32} {' '.join(cells)}")
    targets = {
        f"shap / degu, {TOP_N} sequences": (1, LEAST_SPEEDUP, "times the speed of shap"),
        f"degu / floor, {TOP_N} sequences": (-1, MOST_FLOOR, "times the floor"),
    }
    for name, (sign, target, what) in targets.items():
        verdicts = []
        for clock, (_, low, high) in zip(("wall", "CPU"), found[name], strict=True):
            good, bad = (low, high) if sign > 0 else (high, low)
            met = sign * good >= sign * target
            missed = sign * bad < sign * target
            state = "met" if met else "missed" if missed else "within the noise"
            verdicts.append(f"{state} by {clock} time")
        bound = "at least" if sign > 0 else "at most"
        print(f"The target of {bound} {target} {what} is {' and '.join(verdicts)}.")
    met = "met" if difference <= MOST_DIFFERENCE else "missed"
    print(
        f"The largest difference of a map from shap's is {difference:.1e} of its largest entry: "
        f"the target of {MOST_DIFFERENCE:.0e} is {met}. The largest residual is {residual:.1e} of "
        "the standard deviation of predictions."
    )
    return {name: values.tolist() for name, values in ratios.items()}


def call_seconds(n):
    """Seconds (wall, CPU) of a first call, a second one and one for the next member."""
    x = simulate(n, length=LENGTH).x
    own = shuffled_references(x, REFERENCES, seed=1)
    methods = {
        "saliency": lambda model: saliency(model, x, ALL),
        "in-silico mutagenesis": lambda model: mutagenesis(model, x[:1], ALL),
        "DeepSHAP, own references": lambda model: explain(model, x, own, ALL),
        "DeepSHAP, shared references": lambda model: explain(model, x, own[0], ALL),
    }
    # What the first of all calls costs the process is none of the methods' business.
    tf.function(lambda z: tf.nn.relu(z), jit_compile=True)(tf.zeros(3))
    first, second = network(0), network(1)
    calls = {"first call": first, "second call": first, "second member": second}
    return {
        name: {call: clocked(method, model)[0].tolist() for call, model in calls.items()}
        for name, method in methods.items()
    }


def print_calls(seconds, n):
    print(f"\nSeconds (CPU) of a call of {n} sequences, of one for mutagenesis")
    for name, by_call in seconds.items():
        cells = (f"{call} {wall:6.2f} ({cpu:.2f})" for call, (wall, cpu) in by_call.items())
        print(f"  {name:<28} {'   '.join(cells)}")


def shuffle_seconds(rounds):
    x = simulate(TOP_N, length=LENGTH).x
    return [clocked(shuffled_references, x, REFERENCES, i)[0][0] for i in range(rounds)]


def measure_memory(n, pipe):
    """Explain n sequences in this process, and send back its peak resident memory in GB."""
    with open(os.devnull, "w") as quiet:
        os.dup2(quiet.fileno(), 2)
    x = simulate(n, length=LENGTH).x
    references = shuffled_references(x, REFERENCES, seed=1)
    explain(network(), x, references, ALL)
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9)


def memory_peaks():
    """Peak resident memory in GB by number of sequences, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    peaks = {}
    for n in (MEMORY_SEQUENCES, 4 * MEMORY_SEQUENCES):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=measure_memory, args=(n, theirs))
        process.start()
        theirs.close()
        peaks[n] = ours.recv()
        process.join()
    return peaks


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--comparisons",
        nargs="+",
        choices=["memory", "calls", "speed", "shuffles"],
        default=["memory", "calls", "speed", "shuffles"],
    )
    parser.add_argument("--sequences", type=int, default=64, help="that degu explains in a round")
    parser.add_argument("--shap-sequences", type=int, default=2, help="that shap explains")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2, help="the config's compute_threads")
    parser.add_argument("--json", type=Path, help="write all rounds to this file")
    args = parser.parse_args()

    set_compute_threads(args.threads)
    results = {}
    if "memory" in args.comparisons:
        # First, because Linux lets a process begin with the peak of the one that starts it.
        peaks = results["memory"] = memory_peaks()
        (few, low), (many, high) = peaks.items()
        # What goes in and what comes out is the caller's.
        arrays = (many - few) * LENGTH * 4 * (REFERENCES + 1 + 2 * 4 * len(HEADS)) / 1e9
        growth = high - low - arrays
        met = "met" if growth < MOST_GROWTH else "missed"
        print(
            f"Peak memory is {low:.2f} GB for {few} sequences and {high:.2f} GB for {many}, "
            f"{growth:.2f} GB more beside references and maps: the target of {MOST_GROWTH} GB is "
            f"{met}."
        )
    if "calls" in args.comparisons:
        # Before anything is compiled in this process.
        results["calls"] = call_seconds(CALL_SEQUENCES)
        print_calls(results["calls"], CALL_SEQUENCES)
    if "speed" in args.comparisons:
        seconds, *errors = compare(args.sequences, args.shap_sequences, args.rounds)
        ratios = print_comparison(seconds, *errors)
        results["speed"] = {
            "seconds": {name: values.tolist() for name, values in seconds.items()},
            "ratios": ratios,
            "errors": dict(zip(("difference from shap", "residual"), errors, strict=True)),
        }
    if "shuffles" in args.comparisons:
        results["shuffles"] = shuffle_seconds(3)
        spent = float(np.median(results["shuffles"]))
        met = "met" if spent < MOST_SHUFFLE else "missed"
        print(
            f"\n{REFERENCES} shuffles of each of {TOP_N} sequences take {spent:.1f} s: the target "
            f"of {MOST_SHUFFLE} s is {met}."
        )
    if args.json:
        args.json.write_text(json.dumps({"options": {**vars(args), "json": None}, **results}))


if __name__ == "__main__":
    main()
