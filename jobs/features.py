"""Cache frozen towers: `ray job submit --working-dir . -- python jobs/features.py --help`."""

from crossray.cli.jobs import features_job

if __name__ == "__main__":
    features_job()
