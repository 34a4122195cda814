"""CrossRay from Python: load a model, search an index, evaluate. None of it starts Ray.

Artifacts are named as on the command line: a name in the store, a path (one that begins with `.`
is relative to the working directory) or a URI. See `docs/python.md`.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageOps
from torch import Tensor

from crossray.core.artifacts import Artifact, Kind, open_artifact
from crossray.core.errors import CrossRayError
from crossray.core.inspection import lineage
from crossray.core.modality import other
from crossray.core.store import resolve
from crossray.data.images.grey_range import parse_grey_range
from crossray.data.sources.dicom import SHORT_SIDE
from crossray.data.split import Split
from crossray.data.transforms import MAX_PIXELS
from crossray.evaluation import DirectionResult
from crossray.evaluation.evaluate import DirectionMean, mean_of_directions
from crossray.index import MODALITIES, Hits, Modality, Mode, load_shards, mix, search
from crossray.index.arrays import Codes
from crossray.index.hits import NO_ROW
from crossray.models.encoder import Encoded, ModelEncoder
from crossray.serving.catalogue import Catalogue
from crossray.serving.image_process import Reading
from crossray.serving.items import ServedItems
from crossray.serving.lineage import open_lineage
from crossray.serving.schema import Hit, Target

AnyImage = bytes | str | Path | Image.Image
Vectors = NDArray[np.float32]
_MODELS: tuple[Kind, ...] = ("teacher", "student")
_AT_A_TIME = 64
_Item = TypeVar("_Item")


class ImageTextScores(NamedTuple):
    """Scores of N images (rows) with C texts (columns), float32; larger is better.

    The two differ for methods whose score depends on which of the two is the query.
    """

    image_to_text_NC: Vectors
    text_to_image_NC: Vectors


class Model:
    """A trained model; `load` opens one.

    Attributes:
        artifact: what was loaded, with its manifest.
        dim: dimensions of the vectors.
        bits: of the codes, 0 for a model that makes none.
    """

    def __init__(self, artifact: Artifact, pairs: Artifact | None, device: str) -> None:
        """Images are read as those of `pairs` were; None for the defaults of an ingest."""
        self.artifact = artifact
        self._encoder = ModelEncoder(artifact, device)
        self.dim, self.bits = self._encoder.dim, self._encoder.bits
        read = {} if pairs is None else pairs.manifest.config
        self._reading = Reading(
            self._encoder.transform,
            MAX_PIXELS,
            int(read.get("short_side", SHORT_SIDE)),
            parse_grey_range(read.get("grey_range", "auto")),
        )

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Vectors of unit length of N texts, float32 [N, dim].

        Raises `CrossRayError` for a text without a word and for a model of images alone.
        """
        return self._texts(texts).z_BD

    def encode_images(self, images: Sequence[AnyImage]) -> Vectors:
        """Vectors of unit length of N images, float32 [N, dim].

        An image is the bytes of a file, its path or a Pillow image. Files are read as an ingest
        reads them: JPEG, PNG, WebP, BMP, GIF, TIFF or DICOM. Raises `CrossRayError` for what
        cannot be read.
        """
        return self._images(images).z_BD

    def hash_texts(self, texts: Sequence[str]) -> Codes:
        """Packed codes of N texts, uint8 [N, bits / 8]; of no bytes for a model without codes."""
        return self._texts(texts).codes_BY

    def hash_images(self, images: Sequence[AnyImage]) -> Codes:
        """Packed codes of N images, uint8 [N, bits / 8]; of no bytes for a model without codes."""
        return self._images(images).codes_BY

    def score(self, images: Sequence[AnyImage], texts: Sequence[str]) -> ImageTextScores:
        """Exact scores of every image with every text, with all that a re-ranking adds.

        Raises `CrossRayError` as the encoders do.
        """
        image_parts = self._images(images, represent=True).parts or []
        text_parts = self._texts(texts, represent=True).parts or []
        to_text = [self._encoder.scores(part, "text", text_parts) for part in image_parts]
        to_image = [self._encoder.scores(part, "image", image_parts) for part in text_parts]
        return ImageTextScores(np.stack(to_text), np.stack(to_image, axis=1))

    def knows(self, text: str) -> bool:
        """Whether the vocabulary has any word of what the model reads of a text."""
        return self._encoder.fit(text).known > 0

    def _texts(self, texts: Sequence[str], represent: bool = False) -> Encoded:
        if isinstance(texts, str):
            raise CrossRayError("texts are given as a list; write ['...'] for a single one.")
        return _joined(
            self._encoder.texts([[text] for text in block], represent) for block in _blocks(texts)
        )

    def _images(self, images: Sequence[AnyImage], represent: bool = False) -> Encoded:
        if isinstance(images, bytes | str | Path | Image.Image):
            raise CrossRayError("images are given as a list; write [image] for a single one.")
        return _joined(
            self._encoder.seen([self._pixels(image) for image in block], represent)
            for block in _blocks(images)
        )

    def _pixels(self, image: AnyImage) -> Tensor:
        if isinstance(image, Image.Image):
            image = _png(image)
        elif not isinstance(image, bytes):
            try:
                image = Path(image).read_bytes()
            except OSError as error:
                raise CrossRayError(
                    f"{str(image)!r} cannot be read ({error.strerror}); give the path of an image."
                ) from None
        return self._reading.seen(image)


class Index:
    """An index with the model and the pairs that it was made from; `open_index` opens one.

    Attributes:
        artifact: the index, with its manifest.
        model: encodes queries; it is loaded by the first query that is a text or an image.
    """

    def __init__(self, uri: str, device: str) -> None:
        self._origin, self._device = open_lineage(uri), device
        self.artifact = self._origin.index
        self._shards = load_shards(self.artifact)
        self._catalogue = Catalogue(self.artifact, ServedItems(self._origin.pairs))

    @cached_property
    def model(self) -> Model:
        """See the class."""
        return Model(self._origin.model, self._origin.pairs, self._device)

    def search(
        self,
        text: str | None = None,
        image: AnyImage | None = None,
        vector: ArrayLike | None = None,
        code: ArrayLike | None = None,
        k: int = 10,
        mode: Mode = "float",
        target: Target | None = None,
    ) -> list[Hit]:
        """The `k` best hits of a text, an image or a vector, best first, as the endpoint's.

        `vector`: float32 [dim] of the index' model. `code`: its packed code, uint8 [bits / 8], for
        the modes `binary` and `rescore`. `target`: by default images for a text, texts for
        an image and anything for a vector. With `any`, images and texts come in turn, because
        their scores cannot be compared. A text of which the model knows no word finds nothing.

        Raises `CrossRayError` unless exactly one query is given, and for what the index or its
        model refuses.
        """
        if sum(query is not None for query in (text, image, vector)) != 1:
            raise CrossRayError("a search needs exactly one of text, image and vector; give one.")
        queried: Modality | None = None
        if text is not None:
            if not self.model.knows(text):
                return []
            queried, query = "text", self.model._texts([text])
        elif image is not None:
            queried, query = "image", self.model._images([image])
        else:
            assert vector is not None
            query = self._given(vector, code, mode)
        target = target or ("any" if queried is None else other(queried))
        if target != "any":
            return self._hits([target] * k, self._found(target, query, k, mode))
        images, texts = (self._found(modality, query, k, mode) for modality in MODALITIES)
        mixed = mix(images, texts, k)
        modalities = [MODALITIES[number] for number in mixed.modalities_QK[0].tolist()]
        return self._hits(modalities, Hits(mixed.scores_QK, mixed.rows_QK))

    def image(self, item_id: str) -> bytes | None:
        """The image of an item as it was ingested; None for an item without one.

        Raises `CrossRayError` for an unknown item.
        """
        row = self._catalogue.items.row(item_id)
        if row is None:
            raise CrossRayError(f"no item has the id {item_id!r}; give one that a hit names.")
        return self._catalogue.items.image(row)

    def _given(self, vector: ArrayLike, code: ArrayLike | None, mode: Mode) -> Encoded:
        if code is None and mode != "float":
            raise CrossRayError(
                f"the mode {mode!r} compares codes; give the vector's code, or use mode='float'."
            )
        code_Y = np.zeros(self._origin.bits // 8) if code is None else code
        return Encoded(np.asarray(vector, np.float32)[None], np.asarray(code_Y, np.uint8)[None])

    def _found(self, target: Modality, query: Encoded, k: int, mode: Mode) -> Hits:
        return search(self._shards, target, query.z_BD, query.codes_BY, k, mode)

    def _hits(self, modalities: Sequence[Modality], found: Hits) -> list[Hit]:
        rows, scores = found.rows_QK[0].tolist(), found.scores_QK[0].tolist()
        return [
            Hit.model_validate(self._catalogue.hit(modality, row, score))
            for modality, row, score in zip(modalities, rows, scores, strict=True)
            if row != NO_ROW
        ]


def load(name: str | Path, device: str = "cpu") -> Model:
    """Open a teacher or student artifact.

    Raises `CrossRayError` where there is none, and for a model that reads no pairs.
    """
    artifact = open_artifact(_uri(name), _MODELS)
    pairs = [stage for stage in lineage(artifact) if stage.kind == "pairs"]
    return Model(artifact, pairs[-1] if pairs else None, device)


def open_index(name: str | Path, device: str = "cpu") -> Index:
    """Open an index artifact; its model computes on `device`.

    Raises `CrossRayError` where there is none, or where its model or pairs are not as they were.
    """
    return Index(_uri(name), device)


def evaluate(
    model: Model | str | Path,
    pairs: str | Path,
    protocol: str | None = None,
    split: Split = "test",
    rerank: int = 100,
    codes: int | None = None,
    seed: int = 0,
    use_gpu: bool = False,
) -> dict[str, DirectionResult | DirectionMean]:
    """Measure a model on a split of pairs, by direction, as `jobs/evaluate.py` does.

    `results["text_to_image"].metrics["R@10"]` is the figure of its report; `intervals` (95 %) and
    `baseline` (chance) have the same names. The arguments are those of `stages.evaluate.Evaluate`;
    `docs/evaluation.md` describes the protocols. Writes nothing and does not look for leaks.

    Raises `CrossRayError` for what the protocol or the model cannot measure.
    """
    from crossray.evaluation.report.report import MEAN  # needs what draws reports
    from crossray.stages.evaluate import Evaluate  # imports Ray, and starts none

    stage = Evaluate(
        model.artifact.uri if isinstance(model, Model) else _uri(model),
        _uri(pairs),
        out="",  # nothing is written
        split=split,
        protocol=protocol,
        rerank=rerank,
        codes=codes,
        seed=seed,
        use_gpu=use_gpu,
    )
    done = stage.evaluation()
    results = done.found.results
    found: dict[str, DirectionResult | DirectionMean] = {}
    found.update(zip(done.protocol.directions, results, strict=True))
    if done.protocol.mean_of_directions:
        found[MEAN] = mean_of_directions(results, seed)
    return found


def _uri(name: str | Path) -> str:
    return resolve(str(name), Path.cwd())


def _blocks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    if not len(items):
        raise CrossRayError("there is nothing to encode; give one item or more.")
    return (items[start : start + _AT_A_TIME] for start in range(0, len(items), _AT_A_TIME))


def _joined(blocks: Iterable[Encoded]) -> Encoded:
    found = list(blocks)
    return Encoded(
        np.concatenate([block.z_BD for block in found]),
        np.concatenate([block.codes_BY for block in found]),
        [part for block in found for part in block.parts or ()],
    )


def _png(image: Image.Image) -> bytes:
    """An open image as the bytes of a file, upright."""
    written = BytesIO()
    try:
        ImageOps.exif_transpose(image).save(written, "PNG")
    except OSError:
        raise CrossRayError(
            f"an image of Pillow's mode {image.mode!r} cannot be encoded; convert it to 'RGB'."
        ) from None
    return written.getvalue()
