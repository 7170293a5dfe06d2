"""EvoAug's speed: each augmentation beside a loop over sequences, and an augmented training step.

The cases of a comparison take turns in one process, after a warm-up of each, and every other round
takes them in reverse order. A busy machine slows the cases of a round alike, so read the ratios and
not the milliseconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")  # as jobs have it

import keras
import numpy as np
from scipy.stats import ks_2samp
from training import DEFAULT_SEQUENCES, HEADS, Stopwatch, interval

from degu import models
from degu.augment import REGISTRY, Augmenter, RandomMutation
from degu.heads import Heads
from degu.ingest.simulate import simulate
from degu.ops.runtime import set_compute_threads
from degu.training.dynamic import DynamicStudent, beside
from degu.training.fit import head_errors, standard_train_fun

DEFAULT = ("deletion", "translocation", "noise", "mutation")  # of the config
MAX_STRETCH = 20  # bp: the default of deletion, insertion, translocation and inversion
NOISE, FRACTION, PROBABILITY = 0.2, 0.05, 0.5
CALLS = 20  # of an augmentation, a round
LEAST_SPEEDUP, MOST_STEP = 3, 1.10
TEACHERS = 10
# A p-value below this would be bad luck once in a million.
UNLIKELY = 1e-6


# The same augmentations as one writes them for one sequence (L, 4) float32.


def random_dna(n, rng):
    return np.eye(4, dtype=np.float32)[rng.integers(4, size=n)]


def deletion(sequence, rng):
    deleted = rng.integers(MAX_STRETCH + 1)
    start = rng.integers(len(sequence) - deleted + 1)
    before = deleted // 2
    return np.concatenate(
        [
            random_dna(before, rng),
            sequence[:start],
            sequence[start + deleted :],
            random_dna(deleted - before, rng),
        ]
    )


def insertion(sequence, rng):
    inserted = rng.integers(MAX_STRETCH + 1)
    place = rng.integers(len(sequence) + 1)
    longer = np.concatenate([sequence[:place], random_dna(inserted, rng), sequence[place:]])
    start = inserted // 2
    return longer[start : start + len(sequence)]


def translocation(sequence, rng):
    shift = rng.integers(MAX_STRETCH + 1)
    return np.roll(sequence, shift if rng.random() < 0.5 else -shift, axis=0)


def inversion(sequence, rng):
    inverted = rng.integers(MAX_STRETCH + 1)
    start = rng.integers(len(sequence) - inverted + 1)
    stop = start + inverted
    sequence = sequence.copy()
    sequence[start:stop] = sequence[start:stop][::-1, ::-1].copy()
    return sequence


def mutation(sequence, rng):
    places = rng.choice(len(sequence), round(FRACTION / 0.75 * len(sequence)), replace=False)
    sequence = sequence.copy()
    known = sequence[places].any(axis=1, keepdims=True)
    sequence[places] = random_dna(len(places), rng) * known
    return sequence


def noise(sequence, rng):
    return sequence + np.float32(NOISE) * rng.standard_normal(sequence.shape, dtype=np.float32)


def reverse_complement(sequence, rng):
    return sequence[::-1, ::-1] if rng.random() < PROBABILITY else sequence


def shuffle(sequence, rng):
    return rng.permutation(sequence)


LOOPS = {
    function.__name__: function
    for function in (
        deletion,
        insertion,
        translocation,
        inversion,
        mutation,
        noise,
        reverse_complement,
        shuffle,
    )
}


def loop_over(function):
    """``function`` applied to one sequence at a time, (B, L, 4) -> (B, L, 4)."""
    return lambda x, rng: np.stack([function(sequence, rng) for sequence in x])


def distances(augment, x, rng):
    """By how much each of many augmented sequences differs from its original.

    Half the sum of absolute differences, which for one-hot sequences is the number of positions
    that changed.
    """
    return np.concatenate([np.abs(augment(x, rng) - x).sum(axis=(1, 2)) / 2 for _ in range(CALLS)])


def check(name, ours, loop, x):
    """Refuse to compare the speed of two that do not do the same thing."""
    rng = np.random.default_rng(0)
    one, other = distances(ours, x, rng), distances(loop, x, rng)
    if ks_2samp(one, other).pvalue < UNLIKELY:
        raise SystemExit(
            f"{name}: sequences change by {one.mean():.2f} bases on average with degu and by "
            f"{other.mean():.2f} with the loop, or not in the same distribution."
        )


def compare_augmentations(names, x, rounds):
    """Wall seconds of a batch, {name: {"degu" or "loop": (rounds,)}}."""
    rng = np.random.default_rng(1)
    seconds = {}
    for name in names:
        cases = {"degu": REGISTRY[name](), "loop": loop_over(LOOPS[name])}
        check(name, *cases.values(), x)
        seconds[name] = {case: np.empty(rounds) for case in cases}
        for i in range(rounds):
            for case in list(cases)[:: -1 if i % 2 else 1]:
                seconds[name][case][i] = median_time(cases[case], x, rng)
    return seconds


def median_time(augment, x, rng):
    """Wall seconds of a typical call."""
    ends = [time.perf_counter()]
    for _ in range(CALLS):
        augment(x, rng)
        ends.append(time.perf_counter())
    return np.median(np.diff(ends))


def compiled(model, heads):
    model.compile(
        keras.optimizers.Adam(1e-3), keras.losses.MeanSquaredError(), metrics=head_errors(heads)
    )
    return model


def step_cases(names, shape):
    """{name: (model, augment)} of a plain step and of augmented ones.

    All train one model: two of the same settings can differ for as long as a process runs.
    """
    model = compiled(models.build("deepstarr", shape, len(HEADS)), HEADS)
    augmenters = {
        "plain": None,
        "default": Augmenter.from_config(DEFAULT),
        **{name: REGISTRY[name]() for name in names},
    }
    return {name: (model, augment) for name, augment in augmenters.items()}


def dynamic_cases(shape):
    """The same of a student: plain, and with batches that ten teachers label in the step."""
    heads = Heads.student(HEADS.targets, "std")
    student = models.build("deepstarr", shape, len(heads))
    teachers = [models.build("deepstarr", shape, len(HEADS)) for _ in range(TEACHERS)]
    augment = RandomMutation()
    return {
        "plain": (compiled(student, heads), None),
        "replace": (compiled(DynamicStudent(student, teachers), heads), augment),
        "append": (compiled(DynamicStudent(student, teachers), heads), beside(augment)),
    }


def compare_steps(cases, data, batch_size, rounds):
    """Wall and CPU seconds of a training step, {name: (rounds, 2)}."""
    x, y = data

    def epoch(model, augment, seed):
        stopwatch = Stopwatch()
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            # With neither optimizer nor loss it keeps the compile, and so the traced step.
            standard_train_fun(
                model,
                x,
                y,
                validation_data=None,
                save_prefix=None,
                epochs=1,
                batch_size=batch_size,
                seed=seed,
                augment=augment,
                callbacks=[stopwatch],
            )
        return stopwatch.median()

    for case in cases.values():
        epoch(*case, seed=0)
    seconds: dict[str, list] = {name: [] for name in cases}
    for i in range(rounds):
        for name in list(cases)[:: -1 if i % 2 else 1]:
            seconds[name].append(epoch(*cases[name], seed=i + 1))
    return {name: np.array(values) for name, values in seconds.items()}


def print_augmentations(seconds, shape):
    print("\naugmentations: a batch of {} x {}, ms".format(*shape))
    print(f"  {'':<20} {'degu':>8} {'loop':>8} {'loop / degu, 90% interval':>28}")
    missed = []
    for name, cases in seconds.items():
        degu, loop = (1e3 * np.median(values) for values in cases.values())
        ratio, low, high = interval(cases["loop"] / cases["degu"])
        print(f"  {name:<20} {degu:8.3f} {loop:8.3f} {ratio:12.1f} [{low:.1f}, {high:.1f}]")
        if ratio < LEAST_SPEEDUP:
            missed.append(name)
    met = f"missed by {', '.join(missed)}" if missed else "met by all"
    print(f"The target of {LEAST_SPEEDUP} times the speed of a loop is {met}.")


def print_steps(seconds, title, target=None):
    plain = seconds["plain"]
    wall, cpu = 1e3 * np.median(plain, axis=0)
    print(f"\n{title}; plain {wall:.1f} ms (CPU {cpu:.1f})")
    print(f"  {'augmented / plain':<20} {'wall, 90% interval':>24} {'CPU, 90% interval':>24}")
    intervals = {
        name: [interval(ratios) for ratios in (values / plain).T]
        for name, values in seconds.items()
        if name != "plain"
    }
    for name, clocks in intervals.items():
        cells = (f"{median:8.3f} [{low:.3f}, {high:.3f}]" for median, low, high in clocks)
        print(f"  {name:<20} {' '.join(cells)}")
    if target is None:
        return
    print(f"The target of at most {target:.2f} plain steps:", end="")
    for i, clock in enumerate(("wall", "CPU")):
        missed = [name for name, clocks in intervals.items() if clocks[i][1] > target]
        unsure = [
            name for name, clocks in intervals.items() if clocks[i][1] <= target < clocks[i][2]
        ]
        verdict = f"missed by {', '.join(missed)}" if missed else "missed by none"
        if unsure:
            verdict += f", within the noise for {', '.join(unsure)}"
        print(f" by {clock} time {verdict}", end="." if i else ";")
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--comparisons",
        nargs="+",
        choices=["augmentations", "steps", "dynamic"],
        default=["augmentations", "steps", "dynamic"],
    )
    parser.add_argument("--names", nargs="+", choices=REGISTRY, default=list(REGISTRY))
    parser.add_argument("--sequences", type=int, default=DEFAULT_SEQUENCES, help="an epoch")
    parser.add_argument("--length", type=int, default=249, help="bp")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=6, help="of short epochs")
    parser.add_argument("--threads", type=int, default=2, help="the config's compute_threads")
    parser.add_argument("--json", type=Path, help="write all rounds to this file")
    args = parser.parse_args()

    set_compute_threads(args.threads)
    simulation = simulate(args.sequences, length=args.length)
    results = {}
    if "augmentations" in args.comparisons:
        x = simulation.x[: args.batch_size].astype(np.float32)
        # Calls are short, so more rounds cost little.
        seconds = compare_augmentations(args.names, x, 3 * args.rounds)
        print_augmentations(seconds, x.shape)
        results["augmentations"] = {
            name: {case: values.tolist() for case, values in cases.items()}
            for name, cases in seconds.items()
        }
    y = simulation.replicates.mean(axis=0).astype(np.float32)
    shape, batches = simulation.x.shape[1:], f"DeepSTARR, batches of {args.batch_size}"
    if "steps" in args.comparisons:
        cases = step_cases(args.names, shape)
        seconds = compare_steps(cases, (simulation.x, y), args.batch_size, args.rounds)
        print_steps(seconds, f"steps: {batches}", MOST_STEP)
        results["steps"] = {name: values.tolist() for name, values in seconds.items()}
    if "dynamic" in args.comparisons:
        data = simulation.x, np.concatenate([y, np.zeros_like(y)], axis=1)
        seconds = compare_steps(dynamic_cases(shape), data, args.batch_size, args.rounds)
        print_steps(seconds, f"dynamic: a student's step with {TEACHERS} teachers, {batches}")
        results["dynamic"] = {name: values.tolist() for name, values in seconds.items()}
    if args.json:
        args.json.write_text(json.dumps({"options": {**vars(args), "json": None}, **results}))


if __name__ == "__main__":
    main()
