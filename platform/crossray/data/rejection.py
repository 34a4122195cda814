"""Why a row of the input was not taken."""

from typing import Literal

Reason = Literal[
    "broken image",
    "image too large",
    "missing image",
    "image outside the folder",
    "missing text",
    "text too long",
    "not UTF-8",
    "malformed row",
    "malformed mask",
    "rows disagree",
    "missing id",
    "duplicate id",
    "group crosses splits",
    "unknown split",
    "several frames",
    "unsupported encoding",
    "text in the image",
    "not DICOM",
    "not an image",
]

PASSED_OVER: frozenset[Reason] = frozenset({"not DICOM", "not an image"})
"""Reasons that do not count as rejections: other files in a folder of images."""


class Rejected(Exception):  # noqa: N818 - a verdict on a row, not a failure
    """A row that cannot be taken; `reason` is counted, `detail` says what was found."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail
