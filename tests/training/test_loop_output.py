"""What training workers show."""

from __future__ import annotations

import logging
import warnings

import pytest

from crossray.training.loop import _quieten


def test_libraries_say_errors_only(caplog: pytest.LogCaptureFixture) -> None:
    """Notices of libraries, the same in every run, hide the lines of the run; errors must stay."""
    logger = logging.getLogger("DeepSpeed")
    before = list(logger.filters)
    try:
        with warnings.catch_warnings():
            _quieten()
            import deepspeed.utils  # sets the level of its logger

            assert deepspeed.utils.logger is logger
            logger.propagate = True
            logger.warning("no learning rate yet")
            logger.error("out of memory")
    finally:
        logger.propagate = False
        logger.filters[:] = before
    # Whoever has watched this logger before sees every record once more.
    assert {record.getMessage() for record in caplog.records} == {"out of memory"}
