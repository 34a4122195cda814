"""The Ray Serve application: `serve run serve.app:build index=INDEX [topology=fanout]`."""

from crossray.serving.application import build

__all__ = ["build"]
