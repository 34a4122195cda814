"""Measure a model: `ray job submit --working-dir . -- python jobs/evaluate.py --help`."""

from crossray.cli.jobs import evaluate_job

if __name__ == "__main__":
    evaluate_job()
