"""The lineage: published whole or not at all, checked on reading."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossray.core.artifacts import (
    MANIFEST,
    Artifact,
    Kind,
    cache_dir,
    create,
    open_artifact,
    require_parent,
    verify,
)
from crossray.core.errors import CrossRayError


def publish(
    uri: str, text: str = "x", parents: tuple[Artifact, ...] = (), kind: Kind = "pairs"
) -> Artifact:
    """An artifact with one payload file."""
    with create(uri, kind, {"a": 1}, parents) as draft:
        (draft.path / "rows.txt").write_text(text)
        draft.metrics["items"] = 3
    return open_artifact(uri)


def test_round_trip(tmp_path: Path) -> None:
    """What was written must be what is read, to the last field."""
    artifact = publish(str(tmp_path / "a"))
    assert artifact.kind == "pairs"
    assert artifact.manifest.config == {"a": 1}
    assert artifact.manifest.metrics == {"items": 3}
    assert artifact.local() == tmp_path / "a"
    verify(artifact)


def test_id_depends_on_content_config_and_parents_only(tmp_path: Path) -> None:
    """Equal content must be recognised wherever and whenever it was made, and nothing else."""
    first, second = publish(str(tmp_path / "a")), publish(str(tmp_path / "b"))
    other = publish(str(tmp_path / "c"), "y")
    assert first.id == second.id != other.id
    children = [publish(str(tmp_path / n), "z", (p,), "teacher") for n, p in
                (("d", first), ("e", other))]  # fmt: skip
    assert children[0].id != children[1].id


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    """Half an artifact on disk is worse than none."""

    def fail() -> None:
        with create(str(tmp_path / "a"), "pairs", {}) as draft:
            (draft.path / "rows.txt").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_killed_writer_leaves_nothing_that_is_taken_for_whole(tmp_path: Path) -> None:
    """A power cut in the middle must not leave a readable artifact."""
    code = (
        "import sys, time; from crossray.core.artifacts import create\n"
        f"with create({str(tmp_path / 'a')!r}, 'pairs', {{}}) as draft:\n"
        "    (draft.path / 'rows.txt').write_text('x'); print('writing', flush=True)\n"
        "    time.sleep(60)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"writing\n"
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    with pytest.raises(CrossRayError, match="no artifact"):
        open_artifact(str(tmp_path / "a"))
    publish(str(tmp_path / "a"))


def test_object_store_manifest_goes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a rename, a reader of an object store must see the manifest last."""
    monkeypatch.setattr("crossray.core.artifacts.is_local", lambda uri: False)
    artifact = publish(f"file://{tmp_path}/a")
    times = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "a").iterdir()}
    assert times[MANIFEST] == max(times.values())
    assert artifact.manifest.payload.keys() == {"rows.txt"}


def test_refuses_what_is_not_whole(tmp_path: Path) -> None:
    """A missing manifest, a broken one, a truncated payload and a changed payload are refused."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(CrossRayError, match="not a whole artifact"):
        open_artifact(str(tmp_path / "empty"))
    (tmp_path / "empty" / MANIFEST).write_text("{")
    with pytest.raises(CrossRayError, match="not a whole artifact"):
        open_artifact(str(tmp_path / "empty"))
    artifact = publish(str(tmp_path / "a"))
    (tmp_path / "a" / "rows.txt").write_text("y")
    with pytest.raises(CrossRayError, match="has changed"):
        verify(artifact)
    (tmp_path / "a" / "rows.txt").write_text("longer")
    with pytest.raises(CrossRayError, match="damaged"):
        open_artifact(str(tmp_path / "a"))


def test_refuses_unknown_fields_and_versions(tmp_path: Path) -> None:
    """A manifest of a later CrossRay must not be half understood."""
    publish(str(tmp_path / "a"))
    path = tmp_path / "a" / MANIFEST
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"schema_version": 99}))
    with pytest.raises(CrossRayError, match="schema version 99"):
        open_artifact(str(tmp_path / "a"))
    path.write_text(json.dumps(data | {"colour": "red"}))
    with pytest.raises(CrossRayError, match="'colour'"):
        open_artifact(str(tmp_path / "a"))


def test_refuses_another_kind_and_another_parent(tmp_path: Path) -> None:
    """Mixing lineages gives wrong answers without an error; the sentence names both ids."""
    first, other = publish(str(tmp_path / "a")), publish(str(tmp_path / "b"), "y")
    teacher = publish(str(tmp_path / "t"), "z", (first,), "teacher")
    with pytest.raises(CrossRayError, match="is a pairs artifact, but teacher was expected"):
        open_artifact(first.uri, "teacher")
    require_parent(teacher, first)
    with pytest.raises(CrossRayError, match=f"{first.id[:12]}.*{other.id[:12]}"):
        require_parent(teacher, other)


def test_refuses_to_overwrite_and_to_write_where_it_cannot(tmp_path: Path) -> None:
    """An artifact is never replaced silently."""
    publish(str(tmp_path / "a"))
    with pytest.raises(CrossRayError, match="already exists"):
        publish(str(tmp_path / "a"))
    (tmp_path / "file").write_text("")
    with pytest.raises(CrossRayError, match="cannot be written"):
        publish(str(tmp_path / "file" / "a"))


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """An S3-compatible server on loopback; gives its endpoint."""
    pytest.importorskip("moto.server")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


def test_object_store(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lineage must be the same on S3: publish, refuse, read, copy once."""
    import boto3

    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=f"http://{s3}", **keys).create_bucket(Bucket="store")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    query = f"?endpoint_override={s3}&scheme=http&region=us-east-1"
    uri = f"s3://store/a{query}"
    artifact = publish(uri)
    assert (artifact.local() / "rows.txt").read_text() == "x"
    verify(artifact)
    with pytest.raises(CrossRayError, match="already exists"):
        publish(uri)
    with pytest.raises(CrossRayError, match="no artifact"):
        open_artifact(f"s3://store/b{query}")
    copied = artifact.local()
    monkeypatch.setattr("crossray.core.artifacts.fs.copy_files", None)
    assert artifact.local() == copied, "copied once"


def test_copies_lie_in_the_cache_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine with a small home folder, copies of indexes would fill it."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert cache_dir() == tmp_path / "elsewhere" / "crossray"
    for unset in ("", None):
        if unset is None:
            monkeypatch.delenv("XDG_CACHE_HOME")
        else:
            monkeypatch.setenv("XDG_CACHE_HOME", unset)
        assert cache_dir() == tmp_path / "home" / ".cache" / "crossray"
    assert cache_dir().is_dir()
