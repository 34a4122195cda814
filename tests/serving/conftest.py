"""A tiny endpoint in this process, without Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from crossray.core.artifacts import Artifact
from crossray.index import load_shards
from crossray.index.representations import Keep
from crossray.methods.config import MethodConfig
from crossray.serving.access_token import digest
from crossray.serving.catalogue import Catalogue
from crossray.serving.config import Limits, ServingConfig
from crossray.serving.encoding import QueryEncoder
from crossray.serving.http.gateway import build_gateway
from crossray.serving.items import ServedItems
from crossray.serving.lineage import open_lineage
from crossray.serving.replicas.fused import LocalBackend
from crossray.serving.searching import Searcher
from support.endpoint import CLIP, CMFG, GPLDAN, HIER, MMACH, World, make_world
from support.images import encoded_image

TOKEN = "a-token-of-the-tests"
LIMITS = Limits(body_bytes=1 << 20, text_characters=200, image_pixels=1_000_000)


@pytest.fixture
def token() -> str:
    """The right one."""
    return TOKEN


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Artifacts that all tests of the endpoint read; the cache is their own too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def teachers(tmp_path_factory: pytest.TempPathFactory, world: World) -> dict[str, World]:
    """The same items by teachers: those that rank again have representations beside vectors."""
    configs: dict[str, tuple[MethodConfig, Keep]] = {
        "hier": (HIER, "representations"),
        "gpldan": (GPLDAN, "representations"),
        "cmfg": (CMFG, "representations"),
        "clip": (CLIP, "vectors"),
        "mmach": (MMACH, "vectors"),
    }
    return {
        name: make_world(tmp_path_factory.mktemp(name), "teacher", config, keep)
        for name, (config, keep) in configs.items()
    }


def searcher_of(index: Artifact) -> Searcher:
    """What answers from an index in this process."""
    lineage = open_lineage(index.uri)
    config = ServingConfig(lineage.index.uri, limits=LIMITS)
    encoder = QueryEncoder(lineage, config, "cpu")
    asyncio.run(encoder.image(encoded_image(0), False))  # its process takes its time to start
    backend = LocalBackend(encoder, load_shards(lineage.index), config)
    catalogue = Catalogue(lineage.index, ServedItems(lineage.pairs))
    return Searcher(backend, catalogue, lineage, LIMITS)


@pytest.fixture(scope="session")
def searcher(world: World) -> Searcher:
    """What answers in this process."""
    return searcher_of(world.index(2))


@pytest.fixture(scope="session")
def connect(searcher: Searcher) -> Callable[..., TestClient]:
    """Gives clients of the endpoint; by default with the right token."""
    return connector(searcher)


@pytest.fixture(scope="session")
def connect_to() -> Callable[[Artifact], TestClient]:
    """Gives a client, with the right token, of an endpoint of any index."""
    clients: dict[str, TestClient] = {}

    def client(index: Artifact) -> TestClient:
        if index.id not in clients:
            clients[index.id] = connector(searcher_of(index))()
        return clients[index.id]

    return client


def connector(searcher: Searcher) -> Callable[..., TestClient]:
    """Gives clients of an endpoint."""
    app = build_gateway(searcher, LIMITS, digest(TOKEN))

    def client(token: str | None = TOKEN) -> TestClient:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return TestClient(app, headers=headers, raise_server_exceptions=False)

    return client


@pytest.fixture
def client(connect: Callable[..., TestClient]) -> TestClient:
    """A client with the right token."""
    return connect()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without a token and without caches."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CROSSRAY_TOKEN", raising=False)
    return tmp_path
