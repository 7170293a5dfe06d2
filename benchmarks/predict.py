"""What `degu predict` costs beside its models, and how much memory it takes.

    python benchmarks/predict.py                  # everything; an hour on two cores
    python benchmarks/predict.py --only free      # or model, memory

`free`: the whole command, from a FASTA to a TSV, with models that predict zeros at once, as
sequences a second of CPU time on one core. `model`: the whole command with one model, beside that
model's own `predict` on arrays of float32 in memory; both take turns. `memory`: the command in a
process of its own, on a million sequences.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

LENGTH = 249
TARGETS = ("Dev", "Hk")
GOALS = {"free": 100_000, "model": 0.9, "memory": 1.5}


def write_fasta(path: Path, n: int) -> Path:
    """Random sequences, 100,000 different ones again and again."""
    rng = np.random.default_rng(0)
    letters = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, (min(n, 100_000), LENGTH))]
    with open(path, "wb") as stream:
        for i in range(n):
            stream.write(b">sequence_%d\n%s\n" % (i, letters[i % len(letters)].tobytes()))
    return path


def write_student(folder: Path, architecture: str) -> Path:
    """An untrained student, and a recalibration that is fitted to noise."""
    from degu.calibration.evidence import Fitted
    from degu.calibration.laws import STD_FLOOR, Gaussian
    from degu.calibration.recalibration import Recalibration
    from degu.heads import Heads
    from degu.io.card import Card
    from degu.models import build
    from degu.models.files import save_model

    heads = Heads.student(TARGETS, "std")
    arm = {"augmentation": "standard", "proportion": 1.0, "size": 10, "member": 1, "seed": 1}
    own = {"heads": heads, "architecture": architecture, "role": "student"}
    path = folder / "1_Model.h5"
    save_model(
        build(architecture, (LENGTH, 4), len(heads)), path, Card(**own, **arm, dataset_sha256="")
    )
    rng = np.random.default_rng(0)
    mean, std = rng.normal(size=4000), rng.uniform(0.1, 1, 4000)
    fitted = Fitted.of(Gaussian(mean, std), mean + std * rng.normal(size=4000))
    names = ("scaling", "isotonic", "conformal", "mondrian")
    Recalibration(
        TARGETS,
        "total",
        4000,
        (0.1, 0.1),
        STD_FLOOR,
        *((getattr(fitted, name),) * 2 for name in names),
        model_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        dataset_sha256="0" * 64,
    ).write(folder / "1_recalibration.json")
    return path


def run(predictor, *arguments: object) -> None:
    """The command, with models that are open already."""
    from degu.commands import predict

    predict.open_models = lambda *given: predictor
    command(arguments)


def command(arguments: Iterable[object]) -> None:
    """``degu predict`` in this process, which goes on after it."""
    from degu.commands.main import degu

    given = ["predict", *map(str, arguments), "--quiet"]
    degu.main(args=given, prog_name="degu", standalone_mode=False)


def used(function, *arguments: object) -> float:
    """CPU seconds of this process."""
    before = time.process_time()
    function(*arguments)
    return time.process_time() - before


def free(folder: Path, options: argparse.Namespace) -> float:
    """Sequences a second with a model that costs nothing, and where the time goes."""
    import pyarrow as pa

    from degu.genomics.files import read_sequences
    from degu.predict.fit import Fit, fitted
    from degu.predict.predictor import Predictor
    from degu.predict.stream import READ

    class Free(Predictor):
        def _values(self, codes, both_strands):
            return [np.zeros((len(codes), len(member.heads))) for member in self._members]

    pa.set_cpu_count(1)
    n = options.sequences // 4
    fasta, model = write_fasta(folder / "free.fa", n), write_student(folder, "compact")
    predictor = Free.open([model])

    def read() -> None:
        for _ in read_sequences(fasta, READ):
            pass

    def encode() -> None:
        for block in read_sequences(fasta, READ):
            fitted(block, LENGTH, (b"", b""), Fit(), "")

    rates = []
    for _ in range(options.rounds):
        rates.append(n / used(run, predictor, model, fasta, "-o", folder / "free.tsv"))
    parts = {"reading": n / used(read), "reading and encoding": n / used(encode)}
    parts["the command"] = statistics.median(rates)
    for name, rate in parts.items():
        print(f"free: {name:22} {rate:9,.0f} sequences a CPU second")
    return parts["the command"]


def model(folder: Path, options: argparse.Namespace) -> float:
    """Speed of the command by that of its model's `predict`."""
    import keras

    from degu.predict.predictor import Predictor
    from degu.sequences import from_codes, letter_codes

    n = options.model_sequences
    fasta, path = write_fasta(folder / "model.fa", n), write_student(folder, "deepstarr")
    predictor = Predictor.open([path])
    bare = keras.models.load_model(path, compile=False)
    letters = fasta.read_bytes().split()[1::2]
    x = from_codes(letter_codes(letters)).astype(np.float32)
    cases = {
        "bare": lambda: bare.predict(x, batch_size=512, verbose=0),
        "degu": lambda: run(predictor, path, fasta, "-o", folder / "model.tsv"),
    }
    for case in cases.values():  # compiled once, outside of the time
        case()
    wall: dict[str, list[float]] = {name: [] for name in cases}
    cpu: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(options.rounds):
        for name in list(cases)[:: 1 - 2 * (turn % 2)]:
            start = time.monotonic()
            cpu[name].append(used(cases[name]))
            wall[name].append(time.monotonic() - start)
    ratios = {}
    for what, times in (("CPU", cpu), ("wall", wall)):
        pairs = zip(times["bare"], times["degu"], strict=True)
        ratios[what] = statistics.median(a / b for a, b in pairs)
        rate = n / statistics.median(times["degu"])
        print(f"model: {ratios[what]:.3f} of the bare model by {what} time ({rate:,.0f}/s)")
    return ratios["CPU"]


def peak(arguments: list[str], pipe) -> None:
    """Run the command in this process and send back its peak resident memory in GB."""
    command(arguments)
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9)


def memory(folder: Path, options: argparse.Namespace) -> float:
    """Peak resident memory of the command in GB."""
    fasta = write_fasta(folder / "memory.fa", options.sequences)
    path = write_student(folder, options.memory_model)
    arguments = [str(path), str(fasta), "-o", str(folder / "memory.tsv")]
    # A forked process would begin with this one's memory.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=peak, args=(arguments, theirs))
    process.start()
    theirs.close()
    used = ours.recv()
    process.join()
    print(f"memory: {used:.2f} GB, {options.memory_model}, {options.sequences:,} sequences")
    return used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=list(GOALS))
    parser.add_argument("--sequences", type=int, default=1_000_000)
    parser.add_argument("--model-sequences", type=int, default=16_384)
    parser.add_argument("--memory-model", default="deepstarr")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    options = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    os.environ["TF_CPU_ALLOCATOR_USE_BFC"] = "true"  # as the command has it
    found = {}
    with tempfile.TemporaryDirectory() as name:
        for case in (free, model, memory):
            if options.only in (None, case.__name__):
                found[case.__name__] = case(Path(name), options)
    for case, value in found.items():
        reached = value <= GOALS[case] if case == "memory" else value >= GOALS[case]
        verdict = "reaches" if reached else "MISSES"
        print(f"{case} {verdict} its goal: {value:,.4g}, where the goal is {GOALS[case]:,}.")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
