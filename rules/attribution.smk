"""Maps of the bases that predictions rest on, and how well the maps of models agree."""


rule attribution_sequences:
    input:
        dataset=FILES.dataset,
    output:
        sequences=FILES.attribution_sequences,
    log:
        FILES.log("attribution_sequences"),
    benchmark:
        FILES.benchmark("attribution_sequences")
    # Says that there are too few test sequences before anything is trained.
    priority: 100
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
    params:
        settings=STUDY.sequence_settings,
        seed=config["seed"],
        stage=STAGES["attribute"],
    script:
        "../workflow/scripts/attribution_sequences.py"


for kind in [kind for kind in STUDY.kinds if kind.maps_folder]:
    model = STUDY.pattern(kind)

    rule:
        name:
            f"attribute_{kind.name}"
        input:
            dataset=FILES.dataset,
            sequences=FILES.attribution_sequences,
            model=inputs.final_model(STUDY, kind),
        output:
            maps=FILES.maps(model, "{method}"),
            top=FILES.top_maps(model, "{method}"),
        log:
            FILES.log(f"attribute_{kind.name}", f"{model.job}_{{method}}"),
        benchmark:
            FILES.benchmark(f"attribute_{kind.name}", f"{model.job}_{{method}}")
        conda:
            ENVIRONMENT
        threads: config["compute_threads"]
        resources:
            **REQUESTS["predict"],
        params:
            **inputs.attribution_params(STUDY, kind),
        script:
            "../workflow/scripts/attribute.py"


teacher = STUDY.pattern(TEACHER)


rule average_attribution:
    input:
        sequences=FILES.attribution_sequences,
        maps=inputs.pool_maps(STUDY),
    output:
        files=STUDY.sibling_maps(teacher),
    log:
        FILES.log("average_attribution", FILES.pool_job(POOLS)),
    benchmark:
        FILES.benchmark("average_attribution", FILES.pool_job(POOLS))
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
    params:
        teachers=inputs.pool_map_identities(STUDY),
        stage=STAGES["attribution analysis"],
    script:
        "../workflow/scripts/average_attribution.py"


rule attribution_distance:
    input:
        sequences=FILES.attribution_sequences,
        maps=inputs.pool_maps(STUDY),
        average=[
            path for m in STUDY.methods for path in FILES.top_maps(teacher, m, "avg")
        ],
    output:
        distance=[
            path for m in STUDY.methods for path in FILES.map_distances(teacher, m)
        ],
    log:
        FILES.log("attribution_distance", teacher.job),
    benchmark:
        FILES.benchmark("attribution_distance", teacher.job)
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
    params:
        teacher=inputs.pool_map_identities(STUDY),
        stage=STAGES["attribution analysis"],
    script:
        "../workflow/scripts/attribution_distance.py"
