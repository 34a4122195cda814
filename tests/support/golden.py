"""Artifacts that an earlier version made, in a store."""

from __future__ import annotations

import shutil
from pathlib import Path

from crossray.core.artifacts import MANIFEST

GOLDEN = Path(__file__).parents[1] / "golden"


def copy_golden(folder: Path) -> Path:
    """The artifacts in a new folder, where their manifests say that their parents are."""
    shutil.copytree(GOLDEN / "artifacts", folder)
    for manifest in folder.rglob(MANIFEST):
        text = manifest.read_text(encoding="utf-8")
        manifest.write_text(text.replace("/golden", str(folder)), encoding="utf-8")
    return folder
