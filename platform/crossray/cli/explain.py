"""The verbs that explain a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from rich.console import Console
from tyro.conf import Positional, arg

from crossray.cli.running import say
from crossray.core.artifacts import Artifact, open_artifact
from crossray.core.errors import CrossRayError
from crossray.core.store import resolve
from crossray.data.split import Split


@dataclass(frozen=True)
class Explain:
    """Show in one picture why a model gives an image and a text their score.

    Attributes:
        model: a teacher or student: a name in the store, an absolute path, ./path or a URI.
        image: an image file.
        text: what it is scored with, such as a report or a sentence.
        out: the picture, a PNG file.
        phrase: a part of the text; the heat map then shows what it adds to the score.
        of: the model's score, or the cosine of the two embeddings.
        cam: the kind of heat map.
        level: of the image tower that the heat map shows, counted from 0; earlier ones are finer.
        background: pairs; a place that occlusion hides then shows the mean of their training
            images; by default it is blurred.
        arrays: also write the values behind the picture, as .npz.
    """

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    image: Path
    text: str
    out: Path
    phrase: str | None = None
    of: Literal["score", "cosine"] = "score"
    cam: Literal["grad-cam", "hires-cam", "occlusion"] = "hires-cam"
    level: int | None = None
    background: str | None = None
    arrays: Path | None = None

    def run(self) -> None:
        """Explain and write the picture."""
        from crossray.explain.explainer import Explainer, save_arrays
        from crossray.explain.picture import save_picture

        model = open_artifact(resolve(self.model, Path.cwd()), ("teacher", "student"))
        try:
            data = self.image.read_bytes()
        except OSError as error:
            raise CrossRayError(
                f"the image {str(self.image)!r} cannot be read ({error.strerror}); give the path "
                "of an image file."
            ) from None
        explainer = Explainer(model, self.of, self.cam, self.level, _background(self.background))
        found = explainer.explain(data, self.text, self.phrase)
        save_picture(found, self.out)
        if self.arrays is not None:
            save_arrays(found, self.arrays)
        say(f"score {found.score:.3f}: {self.out}")


@dataclass(frozen=True)
class ExplainCheck:
    """Measure whether heat maps find the findings of pairs with boxes, label by label.

    The text of a finding is what the item's report states about it.

    Attributes:
        model: a teacher or student: a name in the store, an absolute path, ./path or a URI.
        pairs: the artifact with the boxes.
        split: of the pairs.
        items: how many are examined for each finding.
        in_report: judge what that text adds to the score of the report; by default it is scored
            alone.
        of: the model's score, or the cosine of the two embeddings.
        cam: the kind of heat map.
        level: of the image tower that heat maps show, counted from 0; earlier ones are finer.
        background: pairs; a place that occlusion hides then shows the mean of their training
            images; by default it is blurred.
        seed: of the bootstrap.
    """

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    pairs: str
    split: Split = "test"
    items: int = 200
    in_report: bool = False
    of: Literal["score", "cosine"] = "score"
    cam: Literal["grad-cam", "hires-cam", "occlusion"] = "hires-cam"
    level: int | None = None
    background: str | None = None
    seed: int = 0

    def run(self) -> None:
        """Print the table."""
        from crossray.explain.explainer import Explainer
        from crossray.explain.findings import check_findings, findings_table

        model = open_artifact(resolve(self.model, Path.cwd()), ("teacher", "student"))
        pairs = open_artifact(resolve(self.pairs, Path.cwd()), "pairs")
        explainer = Explainer(model, self.of, self.cam, self.level, _background(self.background))
        found = check_findings(explainer, pairs, self.split, self.items, self.in_report, self.seed)
        console = Console()
        Console(width=None if console.is_terminal else 120).print(findings_table(found))


def _background(name: str | None) -> Artifact | None:
    return None if name is None else open_artifact(resolve(name, Path.cwd()), "pairs")
