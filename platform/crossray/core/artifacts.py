"""The lineage: directories with a manifest, published complete or not at all.

`pairs -> features -> teacher -> student -> vectors -> index`, and `report` from any of them;
`sweep` from what its trials are trained on, with the model of its pick and that model's report.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, get_args

from pyarrow import fs

from crossray.core.config import Config, from_dict
from crossray.core.errors import CrossRayError
from crossray.core.store import exists, filesystem, is_local

Kind = Literal["pairs", "features", "teacher", "student", "vectors", "index", "report", "sweep"]
MANIFEST = "manifest.json"
SCHEMA_VERSION = 1
_LIBRARIES = (
    "crossray", "ray", "torch", "deepspeed", "timm", "transformers", "tokenizers", "pyarrow",
    "numpy", "pillow", "faiss-cpu", "faiss-gpu",
)  # fmt: skip


@dataclass(frozen=True)
class Parent(Config):
    """An artifact that another one was made from."""

    kind: Kind
    id: str
    uri: str


@dataclass(frozen=True)
class Payload(Config):
    """One file of an artifact."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest(Config):
    """What `manifest.json` says; the id is the SHA-256 of config, parents' ids and payload."""

    kind: Kind
    id: str
    parents: tuple[Parent, ...]
    config: dict[str, Any]
    payload: dict[str, Payload]
    metrics: dict[str, Any]
    notes: tuple[str, ...]
    versions: dict[str, str]
    created_at: str
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class Artifact:
    """A published artifact, opened for reading."""

    uri: str
    manifest: Manifest

    @property
    def id(self) -> str:
        """The artifact's identity, 64 hexadecimal digits."""
        return self.manifest.id

    @property
    def kind(self) -> Kind:
        """What the artifact is."""
        return self.manifest.kind

    def as_parent(self) -> Parent:
        """The reference that a child writes into its manifest."""
        return Parent(self.kind, self.id, self.uri)

    def local(self) -> Path:
        """A folder of this machine with the payload; an object store's is copied there once."""
        if is_local(self.uri):
            return Path(filesystem(self.uri)[1])
        target = cache_dir() / "artifacts" / self.id
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(prefix=".copy-", dir=target.parent))
            fs.copy_files(self.uri, str(staging))
            try:
                staging.rename(target)
            except OSError:  # another process was first
                shutil.rmtree(staging)
        return target


@dataclass
class Draft:
    """An artifact being written: put files under `path`, fill `metrics`, leave the block."""

    path: Path
    metrics: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def cache_dir() -> Path:
    """Private, disposable files of this machine: `$XDG_CACHE_HOME/crossray`."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crossray"
    root.mkdir(parents=True, exist_ok=True)
    return root


def check_writable(uri: str) -> None:
    """Refuse, before any work is done, an output that exists or cannot be written."""
    if exists(uri):
        raise CrossRayError(
            f"the output {uri} already exists; choose another name or remove it first."
        )
    if is_local(uri):
        parent = Path(filesystem(uri)[1]).parent
        try:
            parent.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=parent).close()
        except OSError as error:
            raise CrossRayError(
                f"the folder {parent} cannot be written ({error.strerror}); "
                "choose another output or change its permissions."
            ) from None


@contextmanager
def create(
    uri: str, kind: Kind, config: dict[str, Any], parents: Sequence[Artifact | Parent] = ()
) -> Iterator[Draft]:
    """Write an artifact of `kind` at `uri`: published when the block ends, gone when it fails.

    The files are written next to the target and renamed in one step; on an object store the payload
    is copied first and the manifest last, so that a reader never takes half an artifact for a
    complete one.
    """
    check_writable(uri)
    system, path = filesystem(uri)
    local = is_local(uri)
    if local:
        staging = Path(path).parent / f".{Path(path).name}.{uuid.uuid4().hex[:8]}.partial"
        staging.mkdir()
    else:
        staging = Path(tempfile.mkdtemp(prefix="crossray-"))
    try:
        draft = Draft(staging)
        yield draft
        references = [p if isinstance(p, Parent) else p.as_parent() for p in parents]
        manifest = _describe(draft, kind, config, references)
        text = json.dumps(asdict(manifest), indent=2, sort_keys=True) + "\n"
        if local:
            (staging / MANIFEST).write_text(text, encoding="utf-8")
            check_writable(uri)
            staging.rename(path)
        else:
            _upload(staging, system, path, text)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def open_artifact(uri: str, kind: Kind | tuple[Kind, ...] | None = None) -> Artifact:
    """Open what was published at `uri`.

    Raises `CrossRayError` when nothing is there, when it is not a complete artifact, when a payload
    file is missing or has another size, or when it is of another kind than asked for.
    """
    if not exists(uri):
        raise CrossRayError(f"there is no artifact at {uri}; check the name, or make it first.")
    system, path = filesystem(uri)
    try:
        with system.open_input_stream(f"{path}/{MANIFEST}") as stream:
            data = json.loads(stream.read())
    except (OSError, ValueError):
        raise CrossRayError(
            f"{uri} is not a whole artifact: it has no readable {MANIFEST}; "
            "remove it and run the step that writes it again."
        ) from None
    manifest = from_dict(Manifest, data, where=f"the manifest of {uri}")
    if manifest.schema_version != SCHEMA_VERSION:
        raise CrossRayError(
            f"{uri} has schema version {manifest.schema_version} and this CrossRay reads "
            f"{SCHEMA_VERSION}; make the artifact again."
        )
    kinds = (kind,) if isinstance(kind, str) else kind
    if kinds and manifest.kind not in kinds:
        raise CrossRayError(
            f"{uri} is a {manifest.kind} artifact, but {' or '.join(kinds)} was expected; "
            "give the right artifact."
        )
    for name, payload in manifest.payload.items():
        if system.get_file_info(f"{path}/{name}").size != payload.bytes:
            raise CrossRayError(
                f"{uri} is damaged: {name} is missing or is not {payload.bytes} bytes long; "
                "remove it and run the step that writes it again."
            )
    return Artifact(uri, manifest)


def verify(artifact: Artifact) -> None:
    """Read every payload file and compare its SHA-256; raises `CrossRayError` on a difference."""
    system, path = filesystem(artifact.uri)
    for name, payload in artifact.manifest.payload.items():
        with system.open_input_stream(f"{path}/{name}") as stream:
            if _sha256(stream) != payload.sha256:
                raise CrossRayError(
                    f"{artifact.uri} is damaged: {name} has changed since it was written; "
                    "remove it and run the step that writes it again."
                )


def inherited_notes(parents: Sequence[Artifact]) -> list[str]:
    """The notes of all parents, each once."""
    return list(dict.fromkeys(note for parent in parents for note in parent.manifest.notes))


def require_parent(child: Artifact, expected: Artifact) -> None:
    """Refuse a child that was made from another artifact than `expected` (of the same kind)."""
    found = [parent for parent in child.manifest.parents if parent.kind == expected.kind]
    if expected.id not in [parent.id for parent in found]:
        was = ", ".join(parent.id[:12] for parent in found) or f"no {expected.kind}"
        raise CrossRayError(
            f"{child.uri} was made from {expected.kind} {was}, but {expected.id[:12]} was given; "
            f"give the {expected.kind} it was made from, or make it again."
        )


def _describe(
    draft: Draft, kind: Kind, config: dict[str, Any], parents: Sequence[Parent]
) -> Manifest:
    assert kind in get_args(Kind), kind
    payload = {}
    for file in sorted(p for p in draft.path.rglob("*") if p.is_file()):
        with file.open("rb") as stream:
            digest = _sha256(stream)
        payload[file.relative_to(draft.path).as_posix()] = Payload(digest, file.stat().st_size)
    identity = {
        "kind": kind,
        "schema_version": SCHEMA_VERSION,
        "config": config,
        "parents": [parent.id for parent in parents],
        "payload": {name: part.sha256 for name, part in payload.items()},
    }
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return Manifest(
        kind=kind,
        id=hashlib.sha256(canonical.encode()).hexdigest(),
        parents=tuple(parents),
        config=config,
        payload=payload,
        metrics=draft.metrics,
        notes=tuple(draft.notes),
        versions=_versions(),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _upload(staging: Path, system: fs.FileSystem, path: str, manifest: str) -> None:
    for file in sorted(p for p in staging.rglob("*") if p.is_file()):
        target = f"{path}/{file.relative_to(staging).as_posix()}"
        system.create_dir(target.rsplit("/", 1)[0], recursive=True)
        fs.copy_files(str(file), target, destination_filesystem=system)
    with system.open_output_stream(f"{path}/{MANIFEST}") as stream:
        stream.write(manifest.encode())


def _sha256(stream: Any) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    found = {}
    for library in _LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found
