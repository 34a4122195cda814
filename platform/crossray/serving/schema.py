"""What goes in and out of the endpoint."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator
from pydantic_core import PydanticCustomError

from crossray.index import MAX_K, Modality, Mode

Target = Literal["image", "text", "any"]
_QUERIES = ("text", "image", "item_id", "vector")
LONGEST_VECTOR = 65_536
_MODEL = "The id of the teacher or student artifact that encodes queries."
_STUDENT = "The same id where the model is a student, else null."


class SearchRequest(BaseModel):
    """A query: exactly one of `text`, `image`, `item_id` and `vector`."""

    model_config = ConfigDict(extra="forbid", val_json_bytes="base64", title="Search request")

    text: Annotated[str | None, Field(description="Words that describe what is sought.")] = None
    image: Annotated[
        bytes | None,
        Field(
            description="An encoded image: JPEG, PNG, WebP, BMP, GIF or TIFF.",
            json_schema_extra={"contentEncoding": "base64"},
        ),
    ] = None
    item_id: Annotated[
        str | None,
        Field(description="An item of the index: its image, or else its first text, is the query."),
    ] = None
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
            "with an image, anything for a vector."
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
            description="So many of the best hits, `k` or more, get the model's whole score and "
            "are ordered again by it; 0 for none. For a text, an image or an item, with the other "
            "modality as target, of an index that holds representations.",
        ),
    ] = 0

    @model_validator(mode="after")
    def _one_query(self) -> SearchRequest:
        given = [name for name in _QUERIES if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError(
                "one_query",
                "exactly one of text, image, item_id and vector is needed, but {given} given",
                {"given": f"{' and '.join(given)} were" if given else "none was"},
            )
        if self.code is not None and self.vector is None:
            raise PydanticCustomError("code_without_vector", "a code belongs to a vector")
        if 0 < self.rerank < self.k:
            raise PydanticCustomError(
                "rerank_below_k",
                "rerank={rerank} candidates cannot give k={k} hits; use 0, or k and more",
                {"rerank": self.rerank, "k": self.k},
            )
        return self


class Hit(BaseModel):
    """One answer: an image, or one of the texts of an item."""

    model_config = ConfigDict(extra="forbid")

    item_id: str
    modality: Modality
    number: Annotated[int, Field(description="Which of the item's texts; 0 for an image.")]
    score: float
    text: Annotated[str | None, Field(description="The text, where the hit is one.")]
    labels: list[str]
    image: Annotated[str | None, Field(description="Where the item's image is, if it has one.")]


class SearchAnswer(BaseModel):
    """The hits, best first, and what they were found with."""

    model_config = ConfigDict(extra="forbid", title="Search answer")

    hits: list[Hit]
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


def form_schema() -> dict[str, Any]:
    """The JSON schema of the fields of a multipart request."""
    schema = SearchRequest.model_json_schema()
    fields = {k: v for k, v in schema["properties"].items() if k not in ("vector", "code")}
    fields["image"] = {"type": "string", "format": "binary"}
    return {"type": "object", "properties": fields, "additionalProperties": False}
