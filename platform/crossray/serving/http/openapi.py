"""The endpoint's description in OpenAPI, written from the models that it answers with."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from crossray.serving.http.body import FORM, JSON
from crossray.serving.problem import MEDIA_TYPE, ProblemDocument
from crossray.serving.schema import (
    ItemAnswer,
    Readiness,
    SearchAnswer,
    SearchRequest,
    form_schema,
)

SEARCH_PATH = "/v1/search"
_REFERENCE = "#/components/schemas/{model}"
_ANSWERS = (SearchAnswer, ItemAnswer, Readiness, ProblemDocument)


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the routes so far; all need a token unless they say otherwise."""
    document = get_openapi(
        title=app.title, version=app.version, summary=app.summary,
        description=app.description, routes=app.routes,
    )  # fmt: skip
    _, request = models_json_schema([(SearchRequest, "validation")], ref_template=_REFERENCE)
    _, schemas = models_json_schema(
        [(model, "serialization") for model in _ANSWERS], ref_template=_REFERENCE
    )
    document["components"] = {
        "schemas": {**request["$defs"], **schemas["$defs"]},
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
    }
    document["security"] = [{"token": []}]
    document["paths"] = {SEARCH_PATH: {"post": _search_operation()}, **document["paths"]}
    for route in (route for methods in document["paths"].values() for route in methods.values()):
        answers = route["responses"]
        # FastAPI's own shape of errors, which no route answers with.
        route["responses"] = {k: v for k, v in answers.items() if "HTTPValidation" not in str(v)}
    return document


def recall_told(recall: dict[str, dict[str, float]]) -> str:
    """What a client should know of the modes of an index before it chooses one."""
    if not recall:
        return "The recall of this index was not measured."
    told = (
        f"{name.replace('_', ' ')} "
        + ", ".join(f"{found:.2f} in the mode {mode!r}" for mode, found in modes.items())
        for name, modes in recall.items()
    )
    return f"Of the ten nearest, a search of this index finds: {'; '.join(told)}."


def answered(model: type[BaseModel], *problems: int) -> dict[int | str, dict[str, Any]]:
    """The answers of a route: a model, and problem documents of some statuses."""
    success = {"description": "OK", "content": {JSON: {"schema": _reference(model)}}}
    return {200: success, **failing(*problems)}


def failing(*problems: int) -> dict[int | str, dict[str, Any]]:
    """The problem documents that a route can answer with."""
    content = {MEDIA_TYPE: {"schema": _reference(ProblemDocument)}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in problems
    }


def _search_operation() -> dict[str, Any]:
    content = {JSON: {"schema": _reference(SearchRequest)}, FORM: {"schema": form_schema()}}
    answers = answered(SearchAnswer, 400, 401, 404, 408, 413, 415, 422, 429, 500, 503)
    return {
        "summary": "Search",
        "operationId": "search",
        "requestBody": {"required": True, "content": content},
        "responses": {str(status): answer for status, answer in answers.items()},
    }


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(model=model.__name__)}
