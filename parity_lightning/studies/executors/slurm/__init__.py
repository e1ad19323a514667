"""The executor that has SLURM run packs as tasks of job arrays; the results come back as lines of files."""
