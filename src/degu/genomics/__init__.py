"""Files that sequences, regions and variants come in: FASTA, tables, BED, VCF, and genomes.

Importing this package imports neither TensorFlow nor pysam; the modules that need them do.
"""
