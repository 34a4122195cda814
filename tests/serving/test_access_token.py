"""The token is made once, kept from other users, and known to the client."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from crossray.core.errors import CrossRayError
from crossray.serving.access_token import digest, find_token, provide_token, token_file


def test_a_token_is_made_once_and_kept(folder: Path) -> None:
    """Each restart would lock out every client, or other users could read the token."""
    assert find_token() is None
    token = provide_token()
    assert len(token) >= 32
    assert provide_token() == token == find_token()
    assert stat.S_IMODE(token_file().stat().st_mode) == 0o600
    assert token not in digest(token)


def test_the_environment_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster's secret would be replaced by one that nobody knows."""
    provide_token()
    monkeypatch.setenv("CROSSRAY_TOKEN", "given-by-the-operator")
    assert provide_token() == "given-by-the-operator" == find_token()


@pytest.mark.parametrize("token", ["short", "with a space in the middle", "line\nbreak-12345678"])
def test_what_is_no_token(folder: Path, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    """An endpoint would stand open behind a password that is guessed at once."""
    monkeypatch.setenv("CROSSRAY_TOKEN", token)
    with pytest.raises(CrossRayError, match="CROSSRAY_TOKEN is no bearer token"):
        provide_token()
