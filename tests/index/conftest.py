"""What the tests of building share."""

from __future__ import annotations

import pytest


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few samples, as measuring is most of a small build, and many blocks, as in a large one."""
    monkeypatch.setattr("crossray.index.staging.MOST", 40)
    monkeypatch.setattr("crossray.index.vectors._ROWS_AT_A_TIME", 23)
    monkeypatch.setattr("crossray.index.kinds._ROWS_AT_A_TIME", 50)
