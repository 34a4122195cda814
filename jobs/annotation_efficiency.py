"""Fewer pairs: `ray job submit --working-dir . -- python jobs/annotation_efficiency.py --help`."""

from crossray.cli.jobs import annotation_efficiency_job

if __name__ == "__main__":
    annotation_efficiency_job()
