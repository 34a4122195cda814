"""`pip install .` is what a client and a reader of artifacts need, and says what the rest needs."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from crossray.cli.verbs import VERBS
from support.extras import project, run_with

ARTIFACTS = Path(__file__).parent / "golden" / "artifacts"
REPORT = str(ARTIFACTS / "sweep-trials" / "7e820_00001-test")
ANSWER = {
    "index": "1" * 64,
    "model": "2" * 64,
    "took_ms": 1.5,
    "hits": [
        {"item_id": "film-7", "score": 0.5, "modality": "image", "text": None, "labels": ["Edema"]}
    ],
}


class Endpoint(BaseHTTPRequestHandler):
    """Answers every search with `ANSWER`."""

    def do_POST(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not on the screen."""


@pytest.fixture
def url() -> Iterator[str]:
    """The address of an endpoint."""
    server = HTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("artifact", ["index", "student", "sweep"])
def test_an_artifact_is_inspected(artifact: str) -> None:
    """Whoever only reads artifacts would have to install torch and Ray."""
    run = run_with("", "inspect", str(ARTIFACTS / artifact))
    assert (run.returncode, run.stderr) == (0, "")
    manifest = json.loads((ARTIFACTS / artifact / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["id"] in run.stdout


def test_a_lineage_is_summarised() -> None:
    """Whoever only reads artifacts would have to install torch and Ray."""
    run = run_with("", "summary", REPORT)
    assert (run.returncode, run.stderr) == (0, "")
    assert "report" in run.stdout


@pytest.mark.parametrize(
    ("report", "test"), [(REPORT, "bootstrap"), (str(ARTIFACTS / "repeat"), "t-test")]
)
def test_reports_are_compared(report: str, test: str) -> None:
    """Comparing two reports needs neither what made them nor what draws their plots."""
    run = run_with("", "compare", report, report)
    assert (run.returncode, run.stderr) == (0, "")
    assert test in run.stdout


def test_an_endpoint_is_searched(url: str) -> None:
    """A client on a laptop would have to install what the endpoint runs on."""
    run = run_with("", "search", "a large effusion", "--url", url, "--token", "t" * 16)
    assert (run.returncode, run.stderr) == (0, "")
    assert "film-7" in run.stdout
    assert "Edema" in run.stdout


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("serve index", r"ray, .* pip install 'crossray\[serve,cpu\]'\."),
        ("dashboards", r"ray, .* pip install 'crossray\[serve\]'\."),
        ("ingest csv TABLE --out PAIRS", r"\w+, .* pip install 'crossray\[data\]'\."),
        ("plan hier_tiny", r"torch, .* pip install 'crossray\[train,cpu\]'\."),
    ],
)
def test_a_verb_names_the_extra_that_it_needs(command: str, sentence: str) -> None:
    """A traceback ends in the name of a module, which is not what has to be installed."""
    run = run_with("", *command.split())
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.count("\n") == 1
    assert re.fullmatch(f"error: this needs {sentence}\n", run.stderr)


@pytest.mark.parametrize(
    ("command", "end"),
    [
        ("split /no/pairs --out /no/split zero-shot", "there is no artifact at /no/pairs"),
        ("check /no/pairs", "there is no artifact at /no/pairs"),
        ("explain /no/model --image X --text Y --out Z", "there is no artifact at /no/model"),
        ("recipe named no_recipe", "there is no recipe 'no_recipe'"),
        ("serve /no/index", "there is no artifact at /no/index"),
    ],
)
def test_a_verb_needs_no_other_extra_than_it_names(
    command: str, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The advice would have to be followed more than once."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # where `serve` keeps its token
    run = run_with(VERBS[command.split()[0]].extras, *command.split())
    assert run.stderr.startswith(f"error: {end}")


def test_python_names_the_extras_that_it_needs() -> None:
    """A traceback ends in the name of a module, which is not what has to be installed."""
    run = run_with("", code="import crossray\ncrossray.load('student')\n")
    end = r"CrossRayError: this needs PIL, .* pip install 'crossray\[models,cpu\]'\.\n"
    assert run.returncode == 1
    assert re.search(end, run.stderr)


def test_python_needs_no_other_extras() -> None:
    """The advice would have to be followed more than once."""
    code = f"import crossray\nprint(crossray.load({str(ARTIFACTS / 'student')!r}).dim)\n"
    run = run_with("models,cpu", code=code)
    assert (run.returncode, run.stderr) == (0, "")
    assert int(run.stdout) > 0


def test_features_are_ingested_with_what_the_sentence_says(tmp_path: Path) -> None:
    """Of the sources, only vectors need torch: the extra that the verb names is not enough."""
    run = run_with("data", "ingest", "xmedia", str(tmp_path), "--out", str(tmp_path / "out"))
    assert run.stderr == (
        "error: this needs torch, which is not installed; run pip install 'crossray[train]'.\n"
    )


def test_help_lists_the_verbs_in_their_own_words() -> None:
    """`crossray --help` would describe what a verb did once."""
    run = run_with("", "--help")
    assert (run.returncode, run.stderr) == (0, "")
    for name, verb in VERBS.items():
        description = inspect.cleandoc(verb.load().__doc__ or "").partition("\n\nAttributes:")[0]
        paragraphs = [" ".join(lines.split()) for lines in description.split("\n\n")]
        assert verb.summary == "\n\n".join(paragraphs)
        assert f"• {name} " in run.stdout
        assert set(filter(None, verb.extras.split(","))) <= set(project()["optional-dependencies"])


def test_the_help_of_search_imports_no_more_than_a_parser() -> None:
    """A command line that needs seconds to show its options is not asked for them."""
    code = (
        "import sys\nfrom crossray.cli import main\ntry:\n    main(['search', '--help'])\n"
        "finally:\n    print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(run.stdout.splitlines()[-1].split()) - sys.stdlib_module_names
    assert loaded & {"crossray", "tyro"} == {"crossray", "tyro"}
    assert not loaded & {"numpy", "pyarrow", "pydantic", "rich", "httpx2", "torch", "ray"}
