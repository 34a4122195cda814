"""Configurations are frozen dataclasses: written as JSON into manifests, read back strictly."""

import dataclasses
import json
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from crossray.core.errors import CrossRayError

T = TypeVar("T")


class Config:
    """Base of every configuration dataclass; makes reading refuse unknown fields."""

    __pydantic_config__ = ConfigDict(extra="forbid")


def to_dict(config: Any) -> dict[str, Any]:
    """The configuration as plain JSON values (tuples become lists).

    Raises `TypeError` for a field that is not JSON.
    """
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return plain


def from_dict(cls: type[T], data: dict[str, Any], where: str = "the configuration") -> T:
    """Read a configuration of type `cls`.

    Raises `CrossRayError` naming the first field that is unknown, missing or of the wrong type, or
    with the sentence of the configuration that refuses its values; `where` says where they came
    from.
    """
    try:
        return TypeAdapter(cls).validate_python(data)
    except CrossRayError as error:
        raise CrossRayError(f"{where}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or cls.__name__
        raise CrossRayError(
            f"{where} has a bad field {field!r} for {cls.__name__}: {first['msg']}; "
            "correct that field or use the version of CrossRay that wrote it."
        ) from None
