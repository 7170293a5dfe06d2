"""From a source of measurements to dataset.h5, and the training subsets of the arms."""

from urllib.parse import urlsplit

# The published file of a release, where the config names no local copy.
LOCAL = config["data"].get("path")
DOWNLOAD = None if LOCAL else config["data"].get("url")
if DOWNLOAD:
    RAW = f"resources/{os.path.basename(urlsplit(DOWNLOAD).path) or 'download'}"
else:
    RAW = os.path.normpath(LOCAL) if LOCAL else None
WHENCE = ("path", "url", "sha256")


if DOWNLOAD:

    rule download:
        output:
            table=RAW,
        log:
            f"{LOGS}/download.log",
        benchmark:
            f"{BENCHMARKS}/download.tsv"
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **REQUESTS["light"],
            gpu=RESOURCES["light"]["gpu"],
        params:
            url=DOWNLOAD,
        script:
            "../workflow/scripts/download.py"


rule ingest:
    input:
        # A source that is simulated reads no file. Braces in a name are no wildcards.
        raw=[RAW.replace("{", "{{").replace("}", "}}")] if RAW else [],
    output:
        dataset=DATASET,
    log:
        f"{LOGS}/ingest.log",
    benchmark:
        f"{BENCHMARKS}/ingest.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
        gpu=RESOURCES["light"]["gpu"],
    params:
        # Where a file lies or came from does not change what is in it.
        data={k: v for k, v in config["data"].items() if k not in WHENCE},
        targets=TARGETS,
        seed=config["seed"],
        stage=STAGES["ingest"],
    script:
        "../workflow/scripts/ingest.py"


rule subset:
    input:
        dataset=DATASET,
    output:
        rows=f"{POOL}/subset.npy",
    log:
        f"{LOGS}/subset/{{augmentation}}_{{proportion}}.log",
    benchmark:
        f"{BENCHMARKS}/subset/{{augmentation}}_{{proportion}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
        gpu=RESOURCES["light"]["gpu"],
    params:
        seed=config["seed"],
        stage=STAGES["subset"],
    script:
        "../workflow/scripts/subset.py"


rule subset_sequences:
    input:
        dataset=DATASET,
    output:
        sequences=f"{RESULTS}/subsets/downsample_{{proportion}}.h5",
    log:
        f"{LOGS}/subset_sequences/{{proportion}}.log",
    benchmark:
        f"{BENCHMARKS}/subset_sequences/{{proportion}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
        gpu=RESOURCES["light"]["gpu"],
    params:
        seed=config["seed"],
        stage=STAGES["subset"],
    script:
        "../workflow/scripts/subset_sequences.py"
