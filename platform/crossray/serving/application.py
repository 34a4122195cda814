"""The Ray Serve application of an index, for `serve run`, config files and `crossray serve`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ray.serve import Application

from crossray.core.config import from_dict
from crossray.core.store import resolve
from crossray.serving.access_token import digest, provide_token
from crossray.serving.config import ServingConfig
from crossray.serving.lineage import open_lineage
from crossray.serving.replicas.fanout import fanout
from crossray.serving.replicas.fused import fused

_BUILDERS = {"fused": fused, "fanout": fanout}


def build(arguments: dict[str, Any]) -> Application:
    """An application builder of Ray Serve; `arguments` are the fields of a `ServingConfig`.

    The token is `$CROSSRAY_TOKEN` where this runs, or the one that is kept on that machine.

    Raises:
        CrossRayError: unknown or wrong arguments, or an index that cannot be served.
    """
    return build_application(from_dict(ServingConfig, arguments, "the application's arguments"))


def build_application(config: ServingConfig) -> Application:
    """The application in the configured topology; raises as `build`."""
    located = replace(config, index=resolve(config.index))
    open_lineage(located.index)
    builder = _BUILDERS[located.topology]
    return builder(located, digest(provide_token()))
