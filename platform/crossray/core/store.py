"""Where artifacts live: a name in the store, an absolute path or the URI of an object store."""

import os
import re
from pathlib import Path

from pyarrow import fs

from crossray.core.errors import CrossRayError

STORE_VARIABLE = "CROSSRAY_STORE"
_URI = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$")


def store_root() -> str:
    """The store: `$CROSSRAY_STORE`, a folder or a URI, else `~/.crossray`."""
    root = os.environ.get(STORE_VARIABLE) or str(Path.home() / ".crossray")
    if _URI.match(root):
        return root.rstrip("/")
    if not Path(root).is_absolute():
        raise CrossRayError(
            f"{STORE_VARIABLE}={root!r} is a relative path; "
            "set it to an absolute folder or to an object-store URI."
        )
    return root


def resolve(name: str, base: Path | None = None) -> str:
    """The absolute path or URI that `name` stands for.

    Bare names belong to the store; absolute paths and URIs are taken as they are. A path that
    starts with `.` is relative to `base`; without `base` (inside a job, which runs in a copy of
    the working directory where its output would be lost) it is refused with `CrossRayError`.
    """
    if _URI.match(name):
        return name.rstrip("/")
    if Path(name).is_absolute():
        return os.path.normpath(name)
    if name in (".", "..") or name.startswith(("./", "../")):
        if base is None:
            raise CrossRayError(
                f"the relative path {name!r} would be lost, because a job runs in a copy of the "
                "working directory; give a bare name (kept in the store) or an absolute path."
            )
        return os.path.normpath(base / name)
    if not _NAME.match(name):
        raise CrossRayError(
            f"{name!r} is not an artifact name; use letters, digits, '.', '_', '-' and '/', "
            "an absolute path or a URI."
        )
    return f"{store_root()}/{name}"


def filesystem(uri: str) -> tuple[fs.FileSystem, str]:
    """The `pyarrow.fs` filesystem of an absolute path or URI, and the path within it."""
    try:
        filesystem, path = fs.FileSystem.from_uri(uri)
    except (ValueError, OSError) as error:
        raise CrossRayError(
            f"no filesystem can read {uri!r} ({error}); "
            "use an absolute path or a URI such as s3://bucket/folder."
        ) from None
    return filesystem, path


def is_local(uri: str) -> bool:
    """Whether `uri` lies on a filesystem of this machine (NFS included)."""
    return isinstance(filesystem(uri)[0], fs.LocalFileSystem)


def exists(uri: str) -> bool:
    """Whether there is a file or folder at an absolute path or URI."""
    system, path = filesystem(uri)
    return bool(system.get_file_info(path).type != fs.FileType.NotFound)
