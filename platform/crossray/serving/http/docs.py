"""The OpenAPI description as a page that needs no script and nothing from other hosts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from crossray.serving.http.page import closed_headers, hash_source

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font-family:ui-monospace,monospace;font-size:.9em}"
    "pre{background:#f4f4f5;padding:1rem;overflow:auto}"
    "table{border-collapse:collapse;width:100%}"
    "td,th{border-bottom:1px solid #ddd;padding:.4rem;text-align:left;vertical-align:top}"
)


def docs_page(description: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """The page and the headers that go with it."""
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


def _schema(name: str, schema: dict[str, Any]) -> str:
    text = escape(json.dumps(schema, indent=2, ensure_ascii=False))
    return f'<h3 id="{escape(name)}">{escape(name)}</h3><pre>{text}</pre>'
