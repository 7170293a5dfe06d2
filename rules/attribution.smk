"""Maps of the bases that predictions rest on, and how well the maps of models agree."""

ATTRIBUTION_SEQUENCES = f"{RESULTS}/attribution_sequences.h5"
ATTRIBUTION = f"{POOL}/attribution"
MAPS_TEACHERS = f"{ATTRIBUTION}/teachers"
MAPS_STUDENTS = f"{ATTRIBUTION}/n{{size}}-{{uncertainty}}"
MEMBER_MAPS = member_name("{ix}", "{method}")
ATTRIBUTION_ARM = f"{ATTRIBUTION}/n{{size}}.h5"
ATTRIBUTION_TABLE = f"{ATTRIBUTION}/n{{size}}_summary.csv"


rule attribution_sequences:
    input:
        dataset=DATASET,
    output:
        sequences=ATTRIBUTION_SEQUENCES,
    log:
        f"{LOGS}/attribution_sequences.log",
    benchmark:
        f"{BENCHMARKS}/attribution_sequences.tsv"
    # Says that there are too few test sequences before anything is trained.
    priority: 100
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
        gpu=RESOURCES["light"]["gpu"],
    params:
        settings=ATTRIBUTION_SEQUENCE_SETTINGS,
        seed=config["seed"],
        stage=STAGES["attribute"],
    script:
        "../workflow/scripts/attribution_sequences.py"


rule attribute:
    input:
        dataset=DATASET,
        sequences=ATTRIBUTION_SEQUENCES,
        model=final_model(TEACHERS),
    output:
        maps=f"{MAPS_TEACHERS}/{MEMBER_MAPS}",
        top=map_files(MAPS_TEACHERS, "{ix}", ["mean"], "{method}"),
    log:
        f"{LOGS}/attribute/{TEACHER_JOB}_{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/attribute/{TEACHER_JOB}_{{method}}.tsv"
    conda:
        ENVIRONMENT
    threads: config["compute_threads"]
    resources:
        **REQUESTS["predict"],
        gpu=RESOURCES["predict"]["gpu"],
    params:
        architecture=config["model"],
        role="teacher",
        uncertainty=None,
        settings=lambda wildcards: method_settings(wildcards.method),
        compute_threads=config["compute_threads"],
        stage=STAGES["attribute"],
    script:
        "../workflow/scripts/attribute.py"


use rule attribute as attribute_student with:
    input:
        dataset=DATASET,
        sequences=ATTRIBUTION_SEQUENCES,
        model=final_model(STUDENTS),
    output:
        maps=f"{MAPS_STUDENTS}/{MEMBER_MAPS}",
        top=map_files(MAPS_STUDENTS, "{ix}", ["mean", "{uncertainty}"], "{method}"),
    log:
        f"{LOGS}/attribute_student/{STUDENT_JOB}_{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/attribute_student/{STUDENT_JOB}_{{method}}.tsv"
    params:
        role="student",
        uncertainty=lambda wildcards: wildcards.uncertainty,


rule average_attribution:
    input:
        sequences=ATTRIBUTION_SEQUENCES,
        maps=lambda w: [path for path, _ in pool_maps(w)],
    output:
        average=of_methods(map_files, MAPS_TEACHERS, "avg", ["mean"]),
        stdev=of_methods(spread_files, MAPS_TEACHERS),
    log:
        f"{LOGS}/average_attribution/{{augmentation}}_{{proportion}}.log",
    benchmark:
        f"{BENCHMARKS}/average_attribution/{{augmentation}}_{{proportion}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
        gpu=RESOURCES["light"]["gpu"],
    params:
        teachers=lambda w: [identity for _, identity in pool_maps(w)],
        stage=STAGES["attribution analysis"],
    script:
        "../workflow/scripts/average_attribution.py"


rule attribution_distance:
    input:
        sequences=ATTRIBUTION_SEQUENCES,
        maps=lambda w: [path for path, _ in pool_maps(w)],
        average=of_methods(map_files, MAPS_TEACHERS, "avg", ["mean"]),
    output:
        distance=of_methods(distance_files, MAPS_TEACHERS, "{ix}"),
    log:
        f"{LOGS}/attribution_distance/{TEACHER_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/attribution_distance/{TEACHER_JOB}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **REQUESTS["light"],
        gpu=RESOURCES["light"]["gpu"],
    params:
        teacher=lambda w: [identity for _, identity in pool_maps(w)],
        stage=STAGES["attribution analysis"],
    script:
        "../workflow/scripts/attribution_distance.py"
