"""The verbs around an endpoint; `search` is a client, so nothing heavy is imported here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class Serve:
    """Answer searches of an index over HTTP, on the running Ray cluster or a private one.

    Attributes:
        index: a name in the store, an absolute path, ./path or a URI.
        topology: `fused` keeps encoder and shards in every replica; `fanout` gives the encoder and
            each shard separate deployments, for an index too large for one replica.
        replicas: of every deployment: a number, or a range such as 1..4 that follows the load.
        port: where the endpoint listens, on this machine only.
        detach: return when the endpoint answers, and leave it running on the cluster.
    """

    index: Annotated[Positional[str], arg(metavar="INDEX")]
    topology: Literal["fused", "fanout"] = "fused"
    replicas: str = "1..2"
    port: int = 8000
    detach: bool = False

    def run(self) -> None:
        """Serve until Ctrl-C."""
        from crossray.core.store import resolve
        from crossray.serving.config import ServingConfig
        from crossray.serving.launch import Launch

        config = ServingConfig(resolve(self.index, Path.cwd()), self.topology)
        Launch(config.with_replicas(self.replicas), self.port, self.detach).run()


@dataclass(frozen=True)
class Search:
    """Ask an endpoint for the images of a text, or the texts of an image.

    Attributes:
        text: the query.
        image: an image file, in place of a text.
        item: the id of an item of the index, in place of a text; it is not among the hits.
        queries: a file of queries, one a line, in place of a text: a text, or a JSON object with
            the fields of a request. The answers are lines of JSON.
        k: how many hits.
        target: what to find; by default images for a text and texts for an image.
        mode: `float` by vectors, `binary` by codes, `rescore` by vectors among the nearest codes.
        rerank: how many of the best hits, k or more, are ordered again by the model's re-ranking
            score; the index must hold representations.
        json: print the answer as a line of JSON.
        url: of the endpoint.
        token: of the endpoint; by default CROSSRAY_TOKEN, or what `crossray serve` made here.
    """

    text: Annotated[Positional[str | None], arg(metavar="TEXT")] = None
    image: Path | None = None
    item: str | None = None
    queries: Path | None = None
    k: int = 10
    target: Literal["image", "text", "any"] | None = None
    mode: Literal["float", "binary", "rescore"] = "float"
    rerank: int = 0
    json: bool = False
    url: str = "http://127.0.0.1:8000"
    token: str | None = None

    def run(self) -> None:
        """Print the hits."""
        from crossray.serving.client import Question, ask, ask_all

        options = {
            "k": self.k, "mode": self.mode, "rerank": self.rerank, "target": self.target,
        }  # fmt: skip
        given = {name: value for name, value in options.items() if value is not None}
        question = Question(self.text, self.image, self.item, given)
        if self.queries is not None:
            ask_all(self.queries, question, self.url, self.token)
        else:
            ask(question, self.url, self.token, self.json)


@dataclass(frozen=True)
class Dashboards:
    """Show what the running cluster does: Prometheus, and Grafana where it is installed.

    Attributes:
        port: where Prometheus listens, on this machine only.
        grafana_port: where Grafana listens, on this machine only.
    """

    port: int = 9090
    grafana_port: int = 3000

    def run(self) -> None:
        """Serve the dashboards until Ctrl-C."""
        from crossray.monitoring.launch import DashboardServers

        DashboardServers(self.port, self.grafana_port).run()
