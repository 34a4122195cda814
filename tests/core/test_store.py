"""Names, paths and URIs."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossray.core.errors import CrossRayError
from crossray.core.store import resolve


def test_names_belong_to_the_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A bare name must mean the same for the command line and for a job."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    assert resolve("a/b.c") == f"{tmp_path}/a/b.c"
    monkeypatch.setenv("CROSSRAY_STORE", "s3://bucket/root/")
    assert resolve("a") == "s3://bucket/root/a"
    monkeypatch.delenv("CROSSRAY_STORE")
    assert resolve("a") == f"{Path.home()}/.crossray/a"


def test_paths_and_uris_are_taken_as_they_are() -> None:
    """A user's own place is respected."""
    assert resolve("/data/x/../y") == "/data/y"
    assert resolve("s3://bucket/x/") == "s3://bucket/x"


def test_relative_paths_need_a_base() -> None:
    """Inside a job a relative output would be lost with the job's copy of the folder."""
    assert resolve("./x", Path("/home/me")) == "/home/me/x"
    with pytest.raises(CrossRayError, match="would be lost"):
        resolve("./x")


@pytest.mark.parametrize("name", ["", "a b", "~/x", "a//b", "a/../b", "-x"])
def test_bad_names_are_refused(name: str) -> None:
    """A name that climbs out of the store would write anywhere."""
    with pytest.raises(CrossRayError, match="not an artifact name"):
        resolve(name)


def test_relative_store_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would mean another folder in every process."""
    monkeypatch.setenv("CROSSRAY_STORE", "here")
    with pytest.raises(CrossRayError, match="relative path"):
        resolve("a")
