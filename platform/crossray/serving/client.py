"""`crossray search`: a question to the endpoint, its hits as a table."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from rich.console import Console
from rich.table import Table
from rich.text import Text

from crossray.core.errors import CrossRayError
from crossray.index import Mode
from crossray.serving.access_token import TOKEN_VARIABLE, find_token
from crossray.serving.schema import Target

_TRIES = 3
_TIMEOUT = httpx2.Timeout(60.0, connect=5.0)


@dataclass(frozen=True)
class Question:
    """What is asked; exactly one of `text` and `image`."""

    text: str | None
    image: Path | None
    k: int
    target: Target | None
    mode: Mode
    rerank: int

    def send(self, url: str, token: str) -> dict[str, Any]:
        """The endpoint's answer (`schema.SearchAnswer`).

        A search changes nothing, so it is sent again when the endpoint says 503 or closes the
        connection.

        Raises:
            CrossRayError: the endpoint cannot be reached or refuses; in its own words.
        """
        for tries_left in reversed(range(_TRIES)):
            try:
                answer = httpx2.post(
                    f"{url}/v1/search",
                    headers={"Authorization": f"Bearer {token}"},
                    timeout=_TIMEOUT,
                    **self._body(),
                )
            except (httpx2.RemoteProtocolError, httpx2.ReadError):
                if not tries_left:
                    raise _unreachable(url, "the connection was closed") from None
                continue
            except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
                raise _unreachable(url, str(error) or type(error).__name__) from None
            if answer.status_code != 503 or not tries_left:
                break
            time.sleep(_seconds(answer.headers.get("retry-after", "")))
        if answer.status_code != 200:
            raise CrossRayError(f"{url} refused the search: {_detail(answer)}")
        found: dict[str, Any] = answer.json()
        return found

    def _body(self) -> dict[str, Any]:
        fields: dict[str, Any] = {"k": self.k, "mode": self.mode, "rerank": self.rerank}
        if self.target is not None:
            fields["target"] = self.target
        if self.image is None:
            return {"json": {**fields, "text": self.text}}
        try:
            data = self.image.read_bytes()
        except OSError as error:
            raise CrossRayError(
                f"the image {str(self.image)!r} cannot be read ({error.strerror}); give the name "
                "of an image file."
            ) from None
        files = {"image": ("image", data)}
        return {"data": {name: str(value) for name, value in fields.items()}, "files": files}


def ask(question: Question, url: str, token: str | None) -> None:
    """Send a question and print its answer; raises `CrossRayError` as `Question.send`."""
    if (question.text is None) == (question.image is None):
        raise CrossRayError("a search needs a text or --image FILE, and not both; give one.")
    known = token or find_token()
    if known is None:
        raise CrossRayError(
            f"no token is known for {url}; give --token, or set {TOKEN_VARIABLE} to the one that "
            "`crossray serve` printed."
        )
    Console().print(table(question.send(url.rstrip("/"), known)))


def table(answer: dict[str, Any]) -> Table:
    """The hits, best first."""
    made = Table(
        title=f"index {answer['index'][:12]}, model {answer['model'][:12]}, "
        f"{answer['took_ms']:.1f} ms",
        title_justify="left",
    )
    for column in ("rank", "score"):
        made.add_column(column, justify="right")
    for column in ("item", "is", "says"):
        made.add_column(column, overflow="fold")
    for rank, hit in enumerate(answer["hits"], start=1):
        labels = ", ".join(hit["labels"])
        says = hit["text"] if hit["text"] is not None else labels
        made.add_row(
            str(rank), f"{hit['score']:.4f}", Text(hit["item_id"]), hit["modality"], Text(says)
        )
    return made


def _detail(answer: httpx2.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"it answered {answer.status_code}; is it a CrossRay endpoint?"


def _seconds(header: str) -> float:
    return min(float(header), 10.0) if header.isdecimal() else 1.0


def _unreachable(url: str, why: str) -> CrossRayError:
    return CrossRayError(
        f"no endpoint can be reached at {url} ({why.rstrip('.')}); start one with "
        "`crossray serve INDEX`, or give --url."
    )
