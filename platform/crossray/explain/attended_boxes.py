"""The boxes that heat maps attend, and how far they overlap with the boxes of a data set."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from crossray.data.transforms import decode_image
from crossray.explain.explainer import Explainer
from crossray.explain.heat_maps import upsampled
from crossray.explain.visible_area import inside_boxes

ATTENDED = 0.2  # of the highest value of a map
AT_A_TIME = 16


class BoxedText(NamedTuple):
    """An encoded image, a text of it as its sentences, and the boxes in the image."""

    image: bytes
    text: Sequence[str]
    boxes: Sequence[Mapping[str, float]]


def attended_overlaps(explainer: Explainer, cases: Iterable[BoxedText]) -> Iterator[float]:
    """The intersection over union of the attended box of each case with its best true box.

    The heat map is that of the score of the image with the text. NaN where the part of the image
    that the model sees has no box.
    """
    left = iter(cases)
    while block := list(islice(left, AT_A_TIME)):
        images = explainer.images([case.image for case in block])
        maps_BYX = upsampled(explainer.heat(images, [case.text for case in block]), explainer.side)
        for case, map_YX in zip(block, maps_BYX.double().numpy(), strict=True):
            height, width = decode_image(case.image).shape[1:]
            true = [inside_boxes([box], height, width, explainer.side) for box in case.boxes]
            overlaps = [overlap(attended_box(map_YX), box_YX) for box_YX in true if box_YX.any()]
            yield max(overlaps, default=np.nan)


def attended_box(map_YX: NDArray[np.float64]) -> NDArray[np.float64]:
    """`inside_YX`, 1 in the box around the largest region that a map attends, else 0.

    The region is connected and has at least 20 % of the map's maximum (Zhou et al. 2016, section
    3.2). A map that is 0 everywhere attends nothing.
    """
    inside_YX = np.zeros_like(map_YX)
    if map_YX.max() > 0:
        regions_YX, _ = ndimage.label(map_YX >= ATTENDED * map_YX.max())
        largest = 1 + int(np.bincount(regions_YX.ravel())[1:].argmax())
        inside_YX[ndimage.find_objects(regions_YX)[largest - 1]] = 1.0
    return inside_YX


def overlap(a_YX: NDArray[np.float64], b_YX: NDArray[np.float64]) -> float:
    """Intersection over union of two boxes, each given as how far each cell lies in it."""
    return float(np.minimum(a_YX, b_YX).sum() / np.maximum(a_YX, b_YX).sum())
