"""Repeat a run: `ray job submit --working-dir . -- python jobs/repeat.py --help`."""

from crossray.cli.jobs import repeat_job

if __name__ == "__main__":
    repeat_job()
