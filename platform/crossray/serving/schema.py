"""Requests and answers of the endpoint, as pydantic models."""

from base64 import b64decode
from typing import Annotated, Any, Literal
from urllib.parse import unquote_to_bytes

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, model_validator
from pydantic_core import PydanticCustomError

from crossray.index import MAX_K, Modality, Mode, SearchOptions

Target = Literal["image", "text", "any"]
_QUERIES = ("text", "image", "item_id", "vector")
LONGEST_VECTOR = 65_536
_STANDARD = bytes.maketrans(b"-_", b"+/")  # the alphabet for URLs is read too
_BREAKS = b" \t\r\n"
_MODEL = "The id of the teacher or student artifact that encodes queries."
_STUDENT = "The same id where the model is a student, else null."


def _decoded(image: Any) -> Any:
    """The bytes of an image that JSON holds as text: base64 (RFC 4648), or a `data:` URI of it."""
    if not isinstance(image, str):
        return image
    data = image.encode()
    if image[:5].lower() == "data:":
        kind, _, written = image.partition(",")
        if not kind.lower().endswith(";base64"):
            raise PydanticCustomError("data_uri", "a data: URI of an image is in base64")
        data = unquote_to_bytes(written)
    data = data.translate(_STANDARD, _BREAKS).rstrip(b"=")
    try:
        return b64decode(data + b"=" * (-len(data) % 4), validate=True)
    except ValueError:
        raise PydanticCustomError("base64", "it is not base64") from None


class SearchRequest(BaseModel):
    """A query: exactly one of `text`, `image`, `item_id` and `vector`."""

    model_config = ConfigDict(extra="forbid", title="Search request")

    text: Annotated[str | None, Field(description="Words that describe what is sought.")] = None
    image: Annotated[
        bytes | None,
        BeforeValidator(_decoded),
        Field(
            description="An image file: JPEG, PNG, WebP, BMP, GIF, TIFF or DICOM, read as by an "
            "ingest. In JSON in base64, with or without line breaks, or as a `data:` URI.",
            json_schema_extra={"contentEncoding": "base64"},
        ),
    ] = None
    item_id: Annotated[
        str | None,
        Field(description="An item of the index: its image, or else its first text, is the query."),
    ] = None
    include_self: Annotated[
        bool,
        Field(description="Whether the image and the texts of `item_id` may be hits themselves."),
    ] = False
    vector: Annotated[
        list[FiniteFloat] | None,
        Field(
            description="An embedding of the index' model, of the index' dimension.",
            max_length=LONGEST_VECTOR,
            fail_fast=True,
        ),
    ] = None
    code: Annotated[
        str | None,
        Field(
            description="The packed code that belongs to `vector`, in hexadecimal or base64; "
            "needed where the mode is `binary` or `rescore`."
        ),
    ] = None
    k: Annotated[int, Field(ge=1, le=MAX_K, description="How many hits to give.")] = 10
    target: Annotated[
        Target | None,
        Field(
            description="What to find. By default images for a text, texts for an image or an item "
            "with an image, anything for a vector. `any` gives images and texts in turn, each in "
            "the order of its scores, because scores of the two cannot be compared."
        ),
    ] = None
    mode: Annotated[
        Mode,
        Field(
            description="`float` ranks by inner product, `binary` by 1 - 2 h / K with h the "
            "Hamming distance of codes of K bits, `rescore` by inner product among the nearest "
            "codes. An index of a model that makes no codes has `float` only."
        ),
    ] = "float"
    rerank: Annotated[
        int,
        Field(
            ge=0,
            le=MAX_K,
            description="So many of the best hits, `k` or more, get the model's full score and "
            "are ordered again by it; 0 for none. For a text, an image or an item, with the other "
            "modality as target, of an index that holds representations.",
        ),
    ] = 0

    @model_validator(mode="after")
    def _one_query(self) -> "SearchRequest":
        given = [name for name in _QUERIES if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError(
                "one_query",
                "exactly one of text, image, item_id and vector is needed, but {given} given",
                {"given": f"{' and '.join(given)} were" if given else "none was"},
            )
        if self.include_self and self.item_id is None:
            raise PydanticCustomError("self_without_item", "include_self belongs to an item_id")
        if self.code is not None and self.vector is None:
            raise PydanticCustomError("code_without_vector", "a code belongs to a vector")
        if 0 < self.rerank < self.k:
            raise PydanticCustomError(
                "rerank_below_k",
                "rerank={rerank} candidates cannot give k={k} hits; use 0, or k and more",
                {"rerank": self.rerank, "k": self.k},
            )
        return self

    def options(self, k: int) -> SearchOptions:
        """What the shards are asked for; `k` may be more than the client wants."""
        return SearchOptions(k, self.mode)


class Hit(BaseModel):
    """One answer: an image, or one of the texts of an item."""

    model_config = ConfigDict(extra="forbid")

    item_id: str
    modality: Modality
    number: Annotated[int, Field(description="Which of the item's texts; 0 for an image.")]
    score: Annotated[
        float,
        Field(
            description="By the mode, or the model's full score after `rerank`. Of `any`, scores "
            "of images compare with those of images only, and texts with texts."
        ),
    ]
    text: Annotated[str | None, Field(description="The text, where the hit is one.")]
    labels: list[str]
    image: Annotated[str | None, Field(description="Where the item's image is, if it has one.")]


class SearchAnswer(BaseModel):
    """The hits, best first, and what they were found with."""

    model_config = ConfigDict(extra="forbid", title="Search answer")

    hits: list[Hit]
    notes: Annotated[
        list[str],
        Field(
            description="What may be missing, a sentence each: the recall of a mode below 0.9, a "
            "text that was cut, words of which the model knows none."
        ),
    ]
    index: Annotated[str, Field(description="The id of the index artifact.")]
    model: Annotated[str, Field(description=_MODEL)]
    student: Annotated[str | None, Field(description=_STUDENT)]
    took_ms: float


class ItemAnswer(BaseModel):
    """An item of the data set."""

    model_config = ConfigDict(extra="forbid", title="Item")

    item_id: str
    split: str
    texts: list[str]
    labels: list[str]
    meta: dict[str, str]
    image: str | None


class Readiness(BaseModel):
    """What is served."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["ready"] = "ready"
    index: str
    model: Annotated[str, Field(description=_MODEL)]
    student: Annotated[str | None, Field(description=_STUDENT)]
    recall: Annotated[
        dict[str, dict[Mode, float]],
        Field(
            description="By direction and mode, the share of the ten nearest that a search finds, "
            "as measured when the index was built."
        ),
    ]


def form_schema() -> dict[str, Any]:
    """The JSON schema of the fields of a multipart request."""
    schema = SearchRequest.model_json_schema()
    fields = {k: v for k, v in schema["properties"].items() if k not in ("vector", "code")}
    fields["image"] = {"type": "string", "format": "binary"}
    return {"type": "object", "properties": fields, "additionalProperties": False}
