"""Does TensorFlow's own memory pool on a CPU cost or save time, and are results the same?

    python benchmarks/allocator.py [--architecture deepstarr] [--length 170] [--rounds 3]

Each round trains the same model twice, in processes of its own: with the pool, as jobs have it, and
without. Weights must be the same to the bit.
"""

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import time

STEPS, BATCH = 48, 128


def train(architecture, length):
    """Train for two epochs; CPU and wall ms a step of the second, page faults, hash of weights."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import numpy as np
    import tensorflow as tf

    from degu.models import build
    from degu.training.batches import Batches

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    x = np.eye(4, dtype=np.uint8)[rng.integers(0, 4, (STEPS * BATCH, length))]
    y = rng.normal(size=(len(x), 2)).astype(np.float32)
    model = build(architecture, (length, 4), 2)
    model.compile(keras.optimizers.Adam(1e-3), loss="mse", jit_compile=False)
    batches = Batches(x, y, batch_size=BATCH, shuffle_seed=1)
    model.fit(batches, epochs=1, verbose=0)
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    model.fit(batches, epochs=1, verbose=0)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    weights = b"".join(weight.tobytes() for weight in model.get_weights())
    return {
        "wall": 1e3 * wall / STEPS,
        "user": 1e3 * (after.ru_utime - before.ru_utime) / STEPS,
        "system": 1e3 * (after.ru_stime - before.ru_stime) / STEPS,
        "page faults": (after.ru_minflt - before.ru_minflt) / STEPS,
        "peak MB": after.ru_maxrss / 1024,
        "weights": hashlib.sha256(weights).hexdigest(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architecture", default="deepstarr")
    parser.add_argument("--length", type=int, default=170)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        print(json.dumps(train(options.architecture, options.length)))
        return
    command = [sys.executable, __file__, "--train", "--architecture", options.architecture]
    command += ["--length", str(options.length)]
    found = {"true": [], "false": []}
    for _ in range(options.rounds):
        for pool, runs in found.items():
            environment = os.environ | {"TF_CPU_ALLOCATOR_USE_BFC": pool}
            done = subprocess.run(
                command, env=environment, stdout=subprocess.PIPE, text=True, check=True
            )
            runs.append(json.loads(done.stdout.splitlines()[-1]))
    if len({run["weights"] for runs in found.values() for run in runs}) != 1:
        sys.exit("The weights differ.")
    for pool, runs in found.items():
        means = {key: sum(r[key] for r in runs) / len(runs) for key in runs[0] if key != "weights"}
        numbers = ", ".join(f"{key} {value:,.1f}" for key, value in means.items())
        print(f"{'with' if pool == 'true' else 'without'} the pool, a step: {numbers}")
    wall = [[run["wall"] for run in runs] for runs in found.values()]
    ratios = sorted(with_ / without for with_, without in zip(*wall, strict=True))
    print(f"time with the pool / without: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    print("the weights are the same")


if __name__ == "__main__":
    main()
