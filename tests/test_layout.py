"""The top level of the project and its one package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import ray

ROOT = Path(__file__).parents[1]
STANDARD = "import platform; assert platform.python_version(), platform; print(platform.__file__)"


def test_platform_folder_is_no_package() -> None:
    """With an `__init__.py`, `import platform` would break Python, pytest and every Ray worker."""
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_standard_platform_imports_under_python() -> None:
    """Started in the project's root, Python must still find the standard library's module."""
    run = subprocess.run(
        [sys.executable, "-c", STANDARD], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert Path(run.stdout.strip()).name == "platform.py"


def test_standard_platform_imports_under_pytest() -> None:
    """Pytest puts folders on the path; the standard library's module must win there too."""
    import platform

    assert Path(platform.__file__).name == "platform.py"


@pytest.mark.usefixtures("ray_cluster")
def test_standard_platform_imports_in_a_ray_worker() -> None:
    """A job's workers start in a copy of the root; the standard library's module must win there."""

    @ray.remote
    def where() -> str:
        import platform

        return platform.__file__

    assert Path(ray.get(where.options(runtime_env={}).remote())).name == "platform.py"


def test_jobs_are_thin() -> None:
    """A job that does work of its own cannot be tested or reused."""
    for job in (ROOT / "jobs").glob("*.py"):
        assert len(job.read_text(encoding="utf-8").splitlines()) <= 40, job
