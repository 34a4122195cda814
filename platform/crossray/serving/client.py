"""`crossray search`: questions to the endpoint, their hits as a table or as JSON."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from rich.console import Console
from rich.table import Table
from rich.text import Text

from crossray.core.errors import CrossRayError
from crossray.serving.access_token import TOKEN_VARIABLE, find_token

_TRIES = 3
_TIMEOUT = httpx2.Timeout(60.0, connect=5.0)


@dataclass(frozen=True)
class Question:
    """A query; exactly one of `text`, `image` and `item`.

    `options`: the other fields of the request; the endpoint checks them.
    """

    text: str | None
    image: Path | None
    item: str | None
    options: dict[str, Any]

    def body(self) -> dict[str, Any]:
        """The request in the arguments of the HTTP client.

        Raises:
            CrossRayError: not one query, or an image that cannot be read.
        """
        if sum(query is not None for query in (self.text, self.image, self.item)) != 1:
            raise CrossRayError(
                "a search needs a text, --image FILE, --item ID or --queries FILE, and only one "
                "of them; give one."
            )
        if self.item is not None:
            return {"json": {**self.options, "item_id": self.item}}
        if self.image is None:
            return {"json": {**self.options, "text": self.text}}
        try:
            data = self.image.read_bytes()
        except OSError as error:
            raise CrossRayError(
                f"the image {str(self.image)!r} cannot be read ({error.strerror}); give the name "
                "of an image file."
            ) from None
        files = {"image": ("image", data)}
        return {"data": {name: str(value) for name, value in self.options.items()}, "files": files}


@dataclass(frozen=True)
class Endpoint:
    """Where questions are sent."""

    url: str
    token: str

    def ask(self, body: dict[str, Any]) -> dict[str, Any]:
        """The endpoint's answer (`schema.SearchAnswer`) to a request.

        A search changes nothing, so it is sent again when the endpoint says 503 or closes the
        connection.

        Raises:
            Unreachable: the endpoint cannot be reached.
            CrossRayError: it refuses; with its sentence.
        """
        for tries_left in reversed(range(_TRIES)):
            try:
                answer = httpx2.post(
                    f"{self.url}/v1/search",
                    headers={"Authorization": f"Bearer {self.token}"},
                    timeout=_TIMEOUT,
                    **body,
                )
            except (httpx2.RemoteProtocolError, httpx2.ReadError):
                if not tries_left:
                    raise Unreachable(self.url, "the connection was closed") from None
                continue
            except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
                raise Unreachable(self.url, str(error) or type(error).__name__) from None
            if answer.status_code != 503 or not tries_left:
                break
            time.sleep(_seconds(answer.headers.get("retry-after", "")))
        if answer.status_code != 200:
            raise CrossRayError(f"{self.url} refused the search: {_detail(answer)}")
        found: dict[str, Any] = answer.json()
        return found


class Unreachable(CrossRayError):  # noqa: N818
    """No endpoint answers, so that no other question will be answered either."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            f"no endpoint can be reached at {url} ({why.rstrip('.')}); start one with "
            "`crossray serve INDEX`, or give --url."
        )


def ask(question: Question, url: str, token: str | None, as_json: bool) -> None:
    """Send a question and print its answer, as a table or as one line of JSON.

    Raises `CrossRayError` as `Question.body` and `Endpoint.ask`.
    """
    body = question.body()
    answer = endpoint_at(url, token).ask(body)
    if as_json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        Console().print(table(answer), *map(Text, answer.get("notes", [])), sep="\n")


def ask_all(file: Path, shared: Question, url: str, token: str | None) -> None:
    """Send the questions of a file and print a line of JSON for each: it and its answer.

    A line of the file is a text, or a JSON object with the fields of a request; `shared` holds what
    they leave out. Empty lines are passed over. A question that is refused has `error` in place of
    an answer, and the others are answered.

    Raises:
        CrossRayError: the file cannot be read, no endpoint can be reached, or, after all others
            were answered, some questions were refused.
    """
    endpoint, asked = endpoint_at(url, token), _questions(file, shared)
    refused = 0
    for query in asked:
        try:
            answer = endpoint.ask({"json": query})
        except Unreachable:
            raise
        except CrossRayError as error:
            answer, refused = {"error": str(error)}, refused + 1
        print(json.dumps({"query": query, **answer}, ensure_ascii=False), flush=True)
    if refused:
        raise CrossRayError(
            f"{refused} of the {len(asked)} questions of {str(file)!r} were refused; the error of "
            "each stands in its line."
        )


def endpoint_at(url: str, token: str | None) -> Endpoint:
    """The endpoint at a URL; raises `CrossRayError` where no token is known."""
    known = token or find_token()
    if known is None:
        raise CrossRayError(
            f"no token is known for {url}; give --token, or set {TOKEN_VARIABLE} to the one that "
            "`crossray serve` printed."
        )
    return Endpoint(url.rstrip("/"), known)


def _questions(file: Path, shared: Question) -> list[dict[str, Any]]:
    """The requests of a file, all read before the first is sent."""
    if (shared.text, shared.image, shared.item) != (None, None, None):
        raise CrossRayError("--queries FILE brings the questions; leave out any other.")
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise CrossRayError(
            f"the queries {str(file)!r} cannot be read ({why}); give a text file of one query a "
            "line."
        ) from None
    questions = []
    for number, line in enumerate(map(str.strip, lines), start=1):
        if line.startswith("{"):
            try:
                questions.append({**shared.options, **json.loads(line)})
            except ValueError as error:
                raise CrossRayError(
                    f"line {number} of {str(file)!r} begins like JSON and is none ({error}); "
                    "correct it."
                ) from None
        elif line:
            questions.append({**shared.options, "text": line})
    if not questions:
        raise CrossRayError(f"{str(file)!r} holds no query; write one a line.")
    return questions


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
