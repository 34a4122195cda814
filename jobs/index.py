"""Build an index: `ray job submit --working-dir . -- python jobs/index.py --help`."""

from crossray.cli.jobs import index_job

if __name__ == "__main__":
    index_job()
