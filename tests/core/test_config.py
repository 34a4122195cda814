"""Configurations survive a manifest and refuse what they do not know."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from crossray.core.config import Config, from_dict, to_dict
from crossray.core.errors import CrossRayError


@dataclass(frozen=True)
class Inner(Config):
    sizes: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Outer(Config):
    rate: float = 0.1
    inner: Inner = field(default_factory=Inner)

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise CrossRayError(f"rate={self.rate} is negative; use 0 or more.")


def test_round_trip() -> None:
    """A model rebuilt from its manifest must be the model."""
    config = Outer(0.5, Inner((3,)))
    assert from_dict(Outer, to_dict(config)) == config


@pytest.mark.parametrize(
    ("data", "field_name"),
    [({"rat": 1.0}, "rat"), ({"rate": "x"}, "rate"), ({"inner": {"size": []}}, "inner.size")],
)
def test_bad_fields_are_named(data: dict[str, object], field_name: str) -> None:
    """A field that is ignored is a setting that silently does nothing."""
    with pytest.raises(CrossRayError, match=f"'{field_name}'"):
        from_dict(Outer, data, "the manifest")


def test_a_refused_value_keeps_its_sentence() -> None:
    """What the configuration says of a value was shown inside pydantic's words about it."""
    with pytest.raises(CrossRayError) as refused:
        from_dict(Outer, {"rate": -1.0}, "the manifest")
    assert str(refused.value) == "the manifest: rate=-1.0 is negative; use 0 or more."
