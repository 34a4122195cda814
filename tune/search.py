"""Sweep a recipe's fields: `ray job submit --working-dir . -- python tune/search.py --help`."""

from crossray.cli.jobs import search_job

if __name__ == "__main__":
    search_job()
