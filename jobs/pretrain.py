"""Train a teacher: `ray job submit --working-dir . -- python jobs/pretrain.py --help`."""

from crossray.cli.jobs import pretrain_job

if __name__ == "__main__":
    pretrain_job()
