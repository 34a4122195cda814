"""`python -m crossray.cli.submit COMMAND`: a Ray job, showing only what the command prints.

`ray job submit` also prints messages of Ray, and on a machine with several clusters it may choose
another than CrossRay's other commands, which use the one that `find_cluster` finds.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from ray.dashboard.utils import ray_address_to_api_server_url
from ray.job_submission import JobStatus, JobSubmissionClient

from crossray.cli.running import run_command
from crossray.cluster.start import find_cluster
from crossray.core.errors import CrossRayError

# What Ray writes into the log of a job before the job does.
_PREAMBLE = re.compile(r"job_manager\.py:\d+ -- Runtime env is|^Running entrypoint for job ")
_ADDRESS = "RAY_API_SERVER_ADDRESS"  # takes precedence over an address given to the client


@dataclass(frozen=True)
class Submission:
    """A command that runs in this folder as a job of the cluster."""

    command: Sequence[str]

    def run(self) -> None:
        """Submit it and show what it prints until it ends.

        Raises:
            CrossRayError: no cluster runs here, or the job failed.
        """
        address = find_cluster()
        if address is None:
            raise CrossRayError("no Ray cluster runs here; start one with `ray start --head`.")
        os.environ[_ADDRESS] = ray_address_to_api_server_url(address)
        client = JobSubmissionClient()
        job = client.submit_job(
            entrypoint=shlex.join(self.command), runtime_env={"working_dir": "."}
        )
        asyncio.run(_show(client, job))
        if (status := client.get_job_status(job)) != JobStatus.SUCCEEDED:
            raise CrossRayError(
                f"the job {job} ended as {status}; its output is above and in `ray job logs {job}`."
            )


async def _show(client: JobSubmissionClient, job: str) -> None:
    async for lines in client.tail_job_logs(job):
        for line in lines.splitlines(keepends=True):
            if not _PREAMBLE.search(line):
                sys.stdout.write(line)
        sys.stdout.flush()


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    run_command(lambda: Submission(sys.argv[1:]))
