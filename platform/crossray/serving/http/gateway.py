"""The HTTP interface: one FastAPI application in front of either topology."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI, Request, Response
from pydantic_core import to_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossray.core.version import __version__
from crossray.serving.catalogue import image_link
from crossray.serving.config import Limits
from crossray.serving.http import openapi
from crossray.serving.http.auth import TokenGate
from crossray.serving.http.body import JSON, Bodies, kind_of, parse_request
from crossray.serving.http.page import search_page
from crossray.serving.items import media_type
from crossray.serving.metrics import timed
from crossray.serving.problem import add_handlers, unavailable
from crossray.serving.schema import ItemAnswer, Readiness
from crossray.serving.searching import Searcher, unknown_item

# The next user of a shared workstation must not find a patient's images in its browser.
_PRIVATE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


def build_gateway(searcher: Searcher, limits: Limits, token_digest: str) -> FastAPI:
    """The application; `token_digest` is what `access_token.digest` makes of its token."""
    app = FastAPI(
        title="CrossRay",
        version=__version__,
        summary="Search images by text and texts by image.",
        description=openapi.recall_sentence(searcher.recall),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.add_middleware(TokenGate, expected=token_digest)
    app.add_middleware(HeadAsGet)
    add_handlers(app)
    _add_search(app, searcher, limits)
    _add_items(app, searcher)
    _add_health(app, searcher)
    _add_pages(app)
    return app


def _add_search(app: FastAPI, searcher: Searcher, limits: Limits) -> None:
    bodies, admission = Bodies(limits), _Admission(limits.ongoing)

    # A plain route, described by hand: FastAPI's resolving of dependencies and its validation of
    # the answer would cost more than a search.
    async def search(request: Request) -> Response:
        kind = kind_of(request.headers)
        async with bodies.read(request) as body:
            with admission.one():
                with timed("parse"):
                    asked = await parse_request(kind, request.headers, body)
                answer = await searcher.answer(asked)
                with timed("answer"):
                    return Response(to_json(answer), media_type=JSON, headers=_PRIVATE)

    app.add_route(openapi.SEARCH_PATH, search, methods=["POST"])


def _add_items(app: FastAPI, searcher: Searcher) -> None:
    items = searcher.catalogue.items

    @app.get(
        "/v1/items/{item_id:path}/image",
        summary="The image of an item, as it was ingested",
        response_class=Response,
        responses={
            200: {"content": {"image/jpeg": {}, "image/png": {}}, "description": "The image"},
            **openapi.failing(401, 404, 500),
        },
    )
    async def image(item_id: str) -> Response:
        row = items.row(item_id)
        data = None if row is None else await asyncio.to_thread(items.image, row)
        if data is None:
            raise unknown_item()
        policy = {"Content-Security-Policy": "default-src 'none'; sandbox"}
        return Response(data, media_type=media_type(data), headers=_PRIVATE | policy)

    @app.get(
        "/v1/items/{item_id:path}",
        summary="An item: its texts, labels, split and what else is known of it",
        response_class=Response,
        responses=openapi.answered(ItemAnswer, 401, 404, 500),
    )
    async def item(item_id: str) -> Response:
        if (row := items.row(item_id)) is None:
            raise unknown_item()
        answer = {
            "item_id": item_id,
            "split": items.split(row),
            "texts": items.texts(row),
            "labels": items.labels(row),
            "meta": items.meta(row),
            "image": image_link(item_id) if items.has_image(row) else None,
        }
        return Response(to_json(answer), media_type=JSON, headers=_PRIVATE)


def _add_health(app: FastAPI, searcher: Searcher) -> None:
    @app.get("/healthz", summary="Whether the gateway runs", openapi_extra={"security": []})
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(
        "/readyz",
        summary="Whether every part answers, and what is served",
        responses=openapi.answered(Readiness, 503),
        openapi_extra={"security": []},
        response_class=Response,
    )
    async def readyz() -> Response:
        if not await searcher.backend.ready():
            raise unavailable("A part of the endpoint does not answer yet.")
        ready = Readiness.model_validate({**searcher.served, "recall": searcher.recall})
        return Response(to_json(ready), media_type=JSON)


def _add_pages(app: FastAPI) -> None:
    page, headers = search_page()
    described = openapi.describe(app)
    docs, docs_headers = openapi.docs_page(described)
    document = to_json(described)

    @app.get("/", include_in_schema=False)
    async def root() -> Response:
        return Response(page, media_type="text/html", headers=headers)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi_json() -> Response:
        return Response(document, media_type=JSON)

    @app.get("/docs", include_in_schema=False)
    async def documentation() -> Response:
        return Response(docs, media_type="text/html", headers=docs_headers)


class _Admission:
    """Refuses requests beyond a number that are worked on at the same time."""

    def __init__(self, limit: int) -> None:
        self._limit, self._ongoing = limit, 0

    @contextmanager
    def one(self) -> Iterator[None]:
        if self._ongoing >= self._limit:
            raise unavailable("The endpoint has more to do than it can; try again soon.")
        self._ongoing += 1
        try:
            yield
        finally:
            self._ongoing -= 1


class HeadAsGet:
    """ASGI middleware that answers HEAD like GET without the body (RFC 9110, section 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, send_head)
