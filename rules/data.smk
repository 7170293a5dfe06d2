"""From a source of measurements to dataset.h5, and the training subsets of the arms."""

if STUDY.download:

    rule download:
        output:
            table=STUDY.raw,
        log:
            FILES.log("download"),
        benchmark:
            FILES.benchmark("download")
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            **REQUESTS["light"],
        params:
            url=STUDY.download,
        script:
            "../workflow/scripts/download.py"


rule ingest:
    input:
        # A source that is simulated reads no file. Braces in a name are no wildcards.
        raw=[STUDY.raw.replace("{", "{{").replace("}", "}}")] if STUDY.raw else [],
    output:
        dataset=FILES.dataset,
    log:
        FILES.log("ingest"),
    benchmark:
        FILES.benchmark("ingest")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
    params:
        data=STUDY.data_settings,
        targets=STUDY.targets,
        seed=config["seed"],
        stage=STAGES["ingest"],
    script:
        "../workflow/scripts/ingest.py"


rule subset:
    input:
        dataset=FILES.dataset,
    output:
        rows=FILES.subset(POOLS),
    log:
        FILES.log("subset", FILES.pool_job(POOLS)),
    benchmark:
        FILES.benchmark("subset", FILES.pool_job(POOLS))
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
    params:
        seed=config["seed"],
        stage=STAGES["subset"],
    script:
        "../workflow/scripts/subset.py"


rule subset_sequences:
    input:
        dataset=FILES.dataset,
    output:
        sequences=FILES.subset_sequences(),
    log:
        FILES.log("subset_sequences", "{proportion}"),
    benchmark:
        FILES.benchmark("subset_sequences", "{proportion}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
    params:
        seed=config["seed"],
        stage=STAGES["subset"],
    script:
        "../workflow/scripts/subset_sequences.py"
