"""`python -m crossray.cli.questions`: five questions about the phantom, judged by labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from crossray.cli.running import run_command
from crossray.serving.client import endpoint_at

URL = "http://127.0.0.1:8000"
HITS = 5
# Each question, and the labels that a film must carry to be right.
QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "There is a large left pleural effusion.": ("Pleural Effusion/left", "Pleural Effusion/large"),
    "There is a right-sided pneumothorax.": ("Pneumothorax/right",),
    "There is severe cardiomegaly.": ("Cardiomegaly/severe",),
    "There is consolidation in the right lower zone.": (
        "Consolidation/right", "Consolidation/lower zone",
    ),
    "No acute cardiopulmonary process.": ("No Finding",),
}  # fmt: skip


class Questions:
    """Sends the questions to the endpoint on this machine."""

    def run(self) -> None:
        """Print a line a question.

        Raises:
            CrossRayError: the endpoint does not answer.
        """
        endpoint = endpoint_at(URL, None)
        answers = {
            text: endpoint.ask({"json": {"text": text, "k": HITS, "target": "image"}})
            for text in QUESTIONS
        }
        found = {text: answer["hits"] for text, answer in answers.items()}
        console = Console()
        Console(width=None if console.is_terminal else 160).print(table(found))


def table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    """A row for each question: whether its hits, best first, carry the labels of the question."""
    made = Table(title=f"Questions to {URL}: the first {HITS} films, by their labels")
    for column in ("question", "right by", "first films", "right"):
        made.add_column(column, justify="right" if column == "right" else "left")
    for text, hits in found.items():
        wanted = QUESTIONS[text]
        right = [set(wanted) <= set(hit["labels"]) for hit in hits]
        verdicts = " ".join("right" if verdict else "wrong" for verdict in right)
        made.add_row(text, ", ".join(wanted), verdicts, f"{sum(right)} of {len(hits)}")
    return made


if __name__ == "__main__":
    run_command(Questions)
