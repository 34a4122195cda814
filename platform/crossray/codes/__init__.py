"""Binary codes: made from real outputs, packed, compared and searched exactly."""

from crossray.codes.binary import binarise, pack, unpack
from crossray.codes.hamming import hamming_distances, nearest_codes

__all__ = ["binarise", "hamming_distances", "nearest_codes", "pack", "unpack"]
