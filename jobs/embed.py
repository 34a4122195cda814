"""Embed items: `ray job submit --working-dir . -- python jobs/embed.py --help`."""

from crossray.cli.jobs import embed_job

if __name__ == "__main__":
    embed_job()
