"""Distil a student: `ray job submit --working-dir . -- python jobs/distill.py --help`."""

from crossray.cli.jobs import distill_job

if __name__ == "__main__":
    distill_job()
