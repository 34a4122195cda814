"""The endpoint's description: OpenAPI, from the models that it answers with, and as a page."""

import json
from collections.abc import Iterator
from html import escape
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from crossray.serving import schema
from crossray.serving.http.body import FORM, JSON
from crossray.serving.http.page import closed_headers, hash_source
from crossray.serving.problem import MEDIA_TYPE, ProblemDocument

SEARCH_PATH = "/v1/search"
_REFERENCE = "#/components/schemas/{model}"
_ANSWERS = (schema.SearchAnswer, schema.ItemAnswer, schema.Readiness, ProblemDocument)
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font-family:ui-monospace,monospace;font-size:.9em}"
    "pre{background:#f4f4f5;padding:1rem;overflow:auto}"
    "table{border-collapse:collapse;width:100%}"
    "td,th{border-bottom:1px solid #ddd;padding:.4rem;text-align:left;vertical-align:top}"
)


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the routes so far; all need a token unless they say otherwise."""
    document = get_openapi(
        title=app.title, version=app.version, summary=app.summary,
        description=app.description, routes=app.routes,
    )  # fmt: skip
    _, request = models_json_schema([(schema.SearchRequest, "validation")], ref_template=_REFERENCE)
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
        # FastAPI's shape of errors, which no route answers with.
        route["responses"] = {k: v for k, v in answers.items() if "HTTPValidation" not in str(v)}
    return document


def recall_sentence(recall: dict[str, dict[str, float]]) -> str:
    """What a client should know of the modes of an index before it chooses one."""
    if not recall:
        return "The recall of this index was not measured."
    found_by_direction = (
        f"{name.replace('_', ' ')} "
        + ", ".join(f"{found:.2f} in the mode {mode!r}" for mode, found in modes.items())
        for name, modes in recall.items()
    )
    return f"Of the ten nearest, a search of this index finds: {'; '.join(found_by_direction)}."


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
    content = {
        JSON: {"schema": _reference(schema.SearchRequest)},
        FORM: {"schema": schema.form_schema()},
    }
    answers = answered(schema.SearchAnswer, 400, 401, 404, 408, 413, 415, 422, 429, 500, 503)
    return {
        "summary": "Search",
        "operationId": "search",
        "requestBody": {"required": True, "content": content},
        "responses": {str(status): answer for status, answer in answers.items()},
    }


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def docs_page(description: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """The description as a page, and its headers; it needs no script and no other host."""
    title = f"{description['info']['title']} {description['info']['version']}"
    schemas = description["components"]["schemas"]
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>",
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>",
        f"<p>{escape(description['info']['summary'])} Send the header "
        "<code>Authorization: Bearer TOKEN</code> with every request to <code>/v1</code>. "
        "The same as <a href=/openapi.json>OpenAPI</a>.</p>",
        f"<p>{escape(description['info']['description'])}</p>",
        *_paths(description["paths"]),
        "<h2>Schemas</h2>",
        *(_schema(name, schemas[name]) for name in sorted(schemas)),
        "</html>",
    ]
    return "\n".join(parts).encode(), closed_headers(style=hash_source(_STYLE))


def _paths(paths: dict[str, Any]) -> Iterator[str]:
    for path, methods in paths.items():
        for method, route in methods.items():
            yield f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
            yield f"<p>{escape(route['summary'])}.</p><table>"
            for kind, content in route.get("requestBody", {}).get("content", {}).items():
                yield f"<tr><td>body<td><code>{escape(kind)}</code><td>{_named(content)}"
            for status, answer in route["responses"].items():
                for kind, content in answer.get("content", {}).items():
                    yield f"<tr><td>{status}<td><code>{escape(kind)}</code><td>{_named(content)}"
            yield "</table>"


def _named(content: dict[str, Any]) -> str:
    reference = content.get("schema", {}).get("$ref", "")
    name = escape(reference.rpartition("/")[2])
    return f'<a href="#{name}">{name}</a>' if name else ""


def _schema(name: str, content: dict[str, Any]) -> str:
    text = escape(json.dumps(content, indent=2, ensure_ascii=False))
    return f'<h3 id="{escape(name)}">{escape(name)}</h3><pre>{text}</pre>'
