"""The whole road with every artifact, checkpoint and index on an S3-compatible server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossray.core.artifacts import open_artifact, verify

ROOT = Path(__file__).parents[2]
SMALL = [
    *("--train.epochs", "1", "--train.workers", "1", "--train.batch-size", "16"),
    *("--train.checkpoint-every", "2", "--train.validation-items", "10"),
    *("--method.image.image-size", "64", "--method.grids", "2"),
]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a server on loopback, which this process and its children use as their store."""
    pytest.importorskip("moto.server")
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_DEFAULT_REGION": "us-east-1",
        "CROSSRAY_STORE": "s3://bucket/store",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="bucket")
    yield "s3://bucket/store"
    server.stop()


def job(*words: str) -> None:
    """Run a command with a Ray of its own, whose workers inherit this environment."""
    env = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=env, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


@pytest.mark.e2e
def test_a_run_on_an_object_store(bucket: str) -> None:
    """On a cluster no folder is shared: nothing may be written beside the store."""
    ingest = "from crossray.cli import main; main()"
    job("-c", ingest, "ingest", "phantom", "--items", "80", "--out", "films")
    job("jobs/pretrain.py", "--recipe", "hier_tiny", "--pairs", "films", "--out", "teacher", *SMALL)
    job("jobs/embed.py", "--model", "teacher", "--pairs", "films", "--out", "vectors")
    job("jobs/index.py", "--vectors", "vectors", "--shards", "2", "--out", "index")
    for name in ("films", "teacher", "vectors", "index"):
        verify(open_artifact(f"{bucket}/{name}"))
