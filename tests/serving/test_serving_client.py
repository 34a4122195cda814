"""`crossray search` asks, asks again where that helps, and says in a sentence what went wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from crossray.cli import main
from crossray.serving.problem import Problem, unavailable, unprocessable
from support.images import encoded_image

ANSWER = {
    "hits": [
        {
            "item_id": "item [red]7", "modality": "text", "number": 0, "score": 0.75,
            "text": "a dog", "labels": ["dog"], "image": None,
        },
        {
            "item_id": "item-8", "modality": "image", "number": 0, "score": 0.5, "text": None,
            "labels": ["cat", "lung"], "image": "/v1/items/item-8/image",
        },
    ],
    "notes": [], "index": "1" * 64, "model": "2" * 64, "student": "2" * 64, "took_ms": 1.5,
}  # fmt: skip
DROP = None


@contextmanager
def endpoint(*answers: Any) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """An endpoint that gives these answers in turn; gives its URL and what it was asked."""
    asked: list[tuple[dict[str, str], bytes]] = []
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            asked.append(({k.lower(): v for k, v in self.headers.items()}, body))
            answer = left.pop(0)
            if answer is DROP:
                self.close_connection = True
                return
            problem = isinstance(answer, Problem)
            data = answer.response().body if problem else json.dumps(answer).encode()
            self.send_response(answer.document.status if problem else 200)
            for name, value in (answer.headers if problem else {}).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def refusal(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a search that must fail; gives its one sentence."""

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as caught:
            main(["search", *arguments])
        assert caught.value.code == 2
        errors = capsys.readouterr().err
        assert errors.startswith("error: ")
        assert "Traceback" not in errors
        return errors

    return run


def test_a_question_and_its_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The hits would not be shown, or markup in an id would change the table."""
    with endpoint(ANSWER) as (url, asked):
        arguments = ["--k", "2", "--target", "any", "--mode", "rescore", "--rerank", "30"]
        main(["search", "a dog", *arguments, "--token", "t", "--url", url + "/"])
    headers, body = asked[0]
    assert headers["authorization"] == "Bearer t"
    expected = {"text": "a dog", "k": 2, "target": "any", "mode": "rescore", "rerank": 30}
    assert json.loads(body) == expected
    shown = capsys.readouterr().out
    for words in ("item [red]7", "0.7500", "a dog", "item-8", "0.5000", "cat, lung", "1" * 12):
        assert words in shown


def test_notes_are_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The user would not learn that the mode finds a third of what there is."""
    note = "The mode 'rescore' finds 0.33 of [the] ten nearest."
    with endpoint({**ANSWER, "notes": [note]}) as (url, _):
        main(["search", "a dog", "--token", "t", "--url", url])
    assert note in " ".join(capsys.readouterr().out.split())


def test_an_item_and_an_answer_in_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script could not ask for what is like an item, or would have to read a table."""
    with endpoint(ANSWER) as (url, asked):
        main(["search", "--item", "item-8", "--json", "--token", "t", "--url", url])
    assert json.loads(asked[0][1]) == {"item_id": "item-8", "k": 10, "mode": "float", "rerank": 0}
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [ANSWER]


def test_a_file_of_queries(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Answers would belong to other questions, or one bad line would take the others along."""
    file = folder / "queries.txt"
    lines = ["a dog", "", '{"item_id": "item-8", "k": 2}', '  a "quoted" é ', '{"text": "{"}']
    file.write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8")
    arguments = ["search", "--queries", str(file), "--k", "3", "--target", "any", "--token", "t"]
    answers = [ANSWER, unprocessable("The item is odd."), ANSWER, ANSWER]
    with endpoint(*answers) as (url, asked), pytest.raises(SystemExit) as caught:
        main([*arguments, "--url", url])
    shared = {"k": 3, "mode": "float", "rerank": 0, "target": "any"}
    wanted = [
        {**shared, "text": "a dog"},
        {**shared, "item_id": "item-8", "k": 2},
        {**shared, "text": 'a "quoted" é'},
        {**shared, "text": "{"},
    ]
    assert [json.loads(body) for _, body in asked] == wanted
    shown = capsys.readouterr()
    told = [json.loads(line) for line in shown.out.splitlines()]
    assert [line["query"] for line in told] == wanted
    assert [line.get("hits") for line in told] == [ANSWER["hits"], None, *[ANSWER["hits"]] * 2]
    assert "The item is odd." in told[1]["error"]
    assert caught.value.code == 2
    assert "1 of the 4 questions" in shown.err


def test_files_of_queries_that_cannot_be_asked(refusal: Callable[..., str], folder: Path) -> None:
    """Some questions of a broken file would be asked and the others forgotten."""
    file = folder / "queries.txt"
    for content, words in (
        (b"", "holds no query"),
        (b"a\n{broken\n", "line 2"),
        (b"\xff\xfe", "not UTF-8"),
    ):
        file.write_bytes(content)
        with endpoint() as (url, asked):
            assert words in refusal("--queries", str(file), "--token", "t", "--url", url)
        assert not asked
    assert "cannot be read" in refusal("--queries", str(folder), "--token", "t")
    assert "leave out" in refusal("a", "--queries", str(file), "--token", "t")
    file.write_text("a\nb\n")
    with endpoint(DROP, DROP, DROP) as (url, _):
        assert "no endpoint can be reached" in refusal(
            "--queries", str(file), "--token", "t", "--url", url
        )


def test_an_image_is_sent_as_a_form(folder: Path) -> None:
    """An image could not be searched with."""
    path = folder / "query.jpg"
    path.write_bytes(encoded_image(1))
    with endpoint(ANSWER) as (url, asked):
        main(["search", "--image", str(path), "--k", "3", "--url", url, "--token", "t"])
    headers, body = asked[0]
    assert headers["content-type"].startswith("multipart/form-data")
    assert encoded_image(1) in body
    assert b'name="k"\r\n\r\n3\r\n' in body


def test_a_search_is_sent_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restarting replica would fail the user's question."""
    waited: list[float] = []
    monkeypatch.setattr("crossray.serving.client.time.sleep", waited.append)
    with endpoint(DROP, unavailable("busy"), ANSWER) as (url, asked):
        main(["search", "a", "--url", url, "--token", "t"])
    assert len(asked) == 3
    assert waited == [1.0]


def test_refusals(
    refusal: Callable[..., str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user would see a traceback, or nothing, in place of what went wrong."""
    monkeypatch.setattr("crossray.serving.client.time.sleep", lambda seconds: None)
    with endpoint(unprocessable("The text is odd.")) as (url, _):
        assert "The text is odd." in refusal("a", "--url", url, "--token", "t")
    with endpoint(*[unavailable("Too busy.")] * 3) as (url, asked):
        assert "Too busy." in refusal("a", "--url", url, "--token", "t")
        assert len(asked) == 3
    with endpoint(DROP, DROP, DROP) as (url, _):
        assert "connection was closed" in refusal("a", "--url", url, "--token", "t")
    assert "no endpoint can be reached" in refusal("a", "--url", url, "--token", "t")
    assert "no endpoint can be reached" in refusal("a", "--url", "nonsense", "--token", "t")
    assert "no token is known" in refusal("a", "--url", url)
    assert "a text, --image" in refusal("--token", "t")
    both = refusal("a", "--image", "x.jpg", "--token", "t")
    assert "only one" in both
    assert "only one" in refusal("a", "--item", "item-1", "--token", "t")
    missing = refusal("--image", str(folder / "none.jpg"), "--url", url, "--token", "t")
    assert "cannot be read" in missing
