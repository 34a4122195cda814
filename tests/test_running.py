"""How commands end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from crossray.cli.running import run_command

HELP = "from crossray import cli; cli.main(['ingest', 'phantom', '--help'])"


def test_output_that_nobody_reads_ends_a_command_without_a_word() -> None:
    """A trace after `crossray ... | head` looks like a failure of what was shown."""
    reader, writer = os.pipe()
    os.close(reader)
    run = subprocess.run(
        [sys.executable, "-c", HELP], stdout=writer, stderr=subprocess.PIPE, check=False, timeout=60
    )
    os.close(writer)
    assert (run.returncode, run.stderr) == (1, b"")


def test_a_lost_peer_is_no_lost_reader(capfd: pytest.CaptureFixture[str]) -> None:
    """A network's broken pipe is an error to be seen."""

    def parse() -> object:
        raise BrokenPipeError("the peer")

    with capfd.disabled(), pytest.raises(BrokenPipeError, match="the peer"):
        run_command(parse)
