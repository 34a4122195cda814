"""Few shots of labels: `ray job submit --working-dir . -- python jobs/few_shot.py --help`."""

from crossray.cli.jobs import few_shot_job

if __name__ == "__main__":
    few_shot_job()
