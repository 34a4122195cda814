"""Ablate a method: `ray job submit --working-dir . -- python jobs/ablate.py --help`."""

from crossray.cli.jobs import ablate_job

if __name__ == "__main__":
    ablate_job()
