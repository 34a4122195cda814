"""The command line is frozen: scripts and cluster jobs of users are written against it.

`golden/command_line.txt` holds every argument of every command with its type. It changes only on
purpose, with an entry in the changelog; `python tests/test_command_line.py` then writes it anew.
"""

from __future__ import annotations

import io
import os
import re
import shlex
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args
from unittest.mock import patch

import pytest

from crossray.cli import jobs, main
from crossray.cli.artifacts import Check, Compare, Inspect, Summary
from crossray.cli.explain import Explain, ExplainCheck
from crossray.cli.ingest import AnySource, Ingest, SplitPairs
from crossray.cli.recipes import PlanRecipe
from crossray.cli.serving import Dashboards, Search, Serve
from crossray.data.feature_sets.file import FeatureFileSource
from crossray.data.feature_sets.wikipedia import WikipediaFeatureSource
from crossray.data.feature_sets.xmedia import XmediaSource
from crossray.data.phantom import PhantomConfig
from crossray.data.sources.csv import CsvSource
from crossray.data.sources.flickr8k import Flickr8kSource
from crossray.data.sources.huggingface import HuggingFaceSource
from crossray.data.sources.openclipart import OpenClipartSource
from crossray.data.sources.phantom import PhantomSource
from crossray.data.sources.source import Source
from crossray.data.splits.splitters import (
    AnnotatedFraction,
    FewShot,
    Fold,
    GroupShares,
    ReportCoverage,
    ZeroShot,
)
from crossray.recipes import ABLATIONS, RECIPES, STUDENTS, get_recipe
from crossray.stages.distill import Distill
from crossray.stages.embed import Embed
from crossray.stages.evaluate import Evaluate
from crossray.stages.features import Features
from crossray.stages.index import BuildIndex
from crossray.stages.pretrain import Pretrain
from crossray.studies import Ablate, AnnotationEfficiency, FewShots, Repeat

GOLDEN = Path(__file__).parent / "golden" / "command_line.txt"
PROGRAMS: dict[str, Callable[[Sequence[str]], None]] = {
    "crossray": main,
    "python jobs/pretrain.py": jobs.pretrain_job,
    "python jobs/repeat.py": jobs.repeat_job,
    "python jobs/ablate.py": jobs.ablate_job,
    "python jobs/annotation_efficiency.py": jobs.annotation_efficiency_job,
    "python jobs/few_shot.py": jobs.few_shot_job,
    "python jobs/features.py": jobs.features_job,
    "python jobs/evaluate.py": jobs.evaluate_job,
    "python jobs/distill.py": jobs.distill_job,
    "python jobs/embed.py": jobs.embed_job,
    "python jobs/index.py": jobs.index_job,
    "python tune/search.py": jobs.search_job,
}
ROOT = Path(__file__).parents[1]
SPACES = sorted(path.relative_to(ROOT) for path in ROOT.glob("tune/spaces/*.py"))
ARMS = [get_args(arm)[0] for arm in get_args(AnySource)]
SOURCES = [source.name for source in ARMS if issubclass(source, Source)]
SPLIT_MAKERS = ("groups", "zero-shot", "few-shot", "annotation", "coverage", "fold")
COMMANDS = [
    *(f"crossray ingest {name}" for name in SOURCES),
    *(f"crossray split {maker}" for maker in SPLIT_MAKERS),
    "crossray ingest features",
    "crossray ingest wikipedia-features",
    "crossray ingest xmedia",
    "crossray inspect",
    "crossray check",
    "crossray summary",
    "crossray compare",
    "crossray explain",
    "crossray explain-check",
    "crossray plan",
    "crossray recipe from-sweep",
    "crossray recipe named",
    "crossray serve",
    "crossray search",
    "crossray dashboards",
    *(f"python jobs/pretrain.py --recipe {recipe}" for recipe in RECIPES),
    "python jobs/repeat.py --recipe hier_tiny",
    "python jobs/ablate.py --method hier",
    "python jobs/annotation_efficiency.py --recipe hier_tiny",
    "python jobs/few_shot.py --recipe hier_tiny",
    "python jobs/features.py --recipe clip_pretrained_tiny",
    "python jobs/evaluate.py",
    *(f"python jobs/distill.py --recipe {recipe}" for recipe in STUDENTS),
    "python jobs/embed.py",
    "python jobs/index.py",
    *(f"python tune/search.py --space {path}" for path in SPACES),
]


def call(command: str) -> None:
    """Run a command in this process."""
    for program, run in PROGRAMS.items():
        if command.startswith(f"{program} "):
            return run(shlex.split(command.removeprefix(program)))
    raise ValueError(command)


def arguments(command: str) -> list[str]:
    """The arguments in a command's help, with their types."""
    screen = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with redirect_stdout(screen), suppress(SystemExit), patch.dict(os.environ, COLUMNS="120"):
        call(f"{command} --help")
    screen.seek(0)
    # Arguments stand at the left edge of their box, two spaces or a line from their help.
    boxed = [line[2:].rstrip(" │\n").split("  ")[0] for line in screen if line.startswith("│ ")]
    return [name for name in boxed if re.match(r"--|[A-Z_]+( \[|$)", name)]


def frozen() -> str:
    """What the golden file must hold."""
    blocks = [[command, *(f"    {name}" for name in arguments(command))] for command in COMMANDS]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def test_arguments_are_those_of_the_golden_file() -> None:
    """A renamed or lost option breaks the scripts that use it."""
    assert frozen() == GOLDEN.read_text(encoding="utf-8")


CONTRACT = {
    "crossray ingest csv TABLE.csv --images DIR --out PAIRS --text-columns caption_0,caption_1 "
    "--label-column labels --label-separator '|' --group-column G --split-column split": Ingest(
        CsvSource(
            "TABLE.csv",
            images="DIR",
            text_columns="caption_0,caption_1",
            label_column="labels",
            label_separator="|",
            group_column="G",
            split_column="split",
        ),
        out="PAIRS",
    ),
    "crossray ingest phantom --items 4000 --seed 7 --out PAIRS": Ingest(
        PhantomSource(PhantomConfig(items=4000, seed=7)), out="PAIRS"
    ),
    "crossray ingest phantom --items 50 --seed 3 --out PAIRS --max-rejected 0": Ingest(
        PhantomSource(PhantomConfig(items=50, seed=3)), out="PAIRS", max_rejected=0.0
    ),
    "crossray ingest openclipart --out PAIRS": Ingest(OpenClipartSource(), out="PAIRS"),
    "crossray ingest flickr8k DIR --out PAIRS": Ingest(Flickr8kSource("DIR"), out="PAIRS"),
    "crossray ingest huggingface PATH_OR_ID --image-column image --text-columns text "
    "--out PAIRS": Ingest(
        HuggingFaceSource("PATH_OR_ID", image_column="image", text_columns="text"), out="PAIRS"
    ),
    "crossray split PAIRS --out SPLIT groups --val 0.1 --test 0.2": SplitPairs(
        GroupShares(val=0.1, test=0.2), "PAIRS", "SPLIT"
    ),
    "crossray split PAIRS --out SPLIT zero-shot": SplitPairs(ZeroShot(), "PAIRS", "SPLIT"),
    "crossray split PAIRS --out SPLIT few-shot --held-out Edema Fracture --shots 5 --draw 0": (
        SplitPairs(FewShot(held_out=("Edema", "Fracture"), shots=5, draw=0), "PAIRS", "SPLIT")
    ),
    "crossray split PAIRS --out SPLIT annotation --fraction 0.3": SplitPairs(
        AnnotatedFraction(0.3), "PAIRS", "SPLIT"
    ),
    "crossray split PAIRS --out SPLIT coverage --coverage 0.5": SplitPairs(
        ReportCoverage(0.5), "PAIRS", "SPLIT"
    ),
    "crossray split PAIRS --out SPLIT fold --fold 1 --folds 5": SplitPairs(
        Fold(1, folds=5), "PAIRS", "SPLIT"
    ),
    "crossray ingest features FILE --image-key I_tr --text-key T_tr --label-key L_tr "
    "--test-image-key I_te --test-text-key T_te --test-label-key L_te --out FEATURES": Ingest(
        FeatureFileSource(
            "FILE",
            image_key="I_tr",
            text_key="T_tr",
            label_key="L_tr",
            test_image_key="I_te",
            test_text_key="T_te",
            test_label_key="L_te",
        ),
        out="FEATURES",
    ),
    "crossray ingest wikipedia-features DIR --out FEATURES": Ingest(
        WikipediaFeatureSource("DIR"), out="FEATURES"
    ),
    "crossray ingest xmedia DIR --out FEATURES --split-seed 3": Ingest(
        XmediaSource("DIR"), out="FEATURES", split_seed=3
    ),
    "crossray inspect ANY_ARTIFACT": Inspect("ANY_ARTIFACT"),
    "crossray check PAIRS": Check("PAIRS"),
    "crossray summary ANY_ARTIFACT": Summary(("ANY_ARTIFACT",)),
    "crossray compare REPORT REPORT": Compare(("REPORT", "REPORT")),
    "crossray explain MODEL --image FILE --text REPORT --out PNG --phrase SENTENCE --cam hires-cam "
    "--level 2 --arrays NPZ": Explain(
        "MODEL",
        image=Path("FILE"),
        text="REPORT",
        out=Path("PNG"),
        phrase="SENTENCE",
        cam="hires-cam",
        level=2,
        arrays=Path("NPZ"),
    ),
    "crossray explain-check MODEL --pairs PAIRS --items 50 --in-report": ExplainCheck(
        "MODEL", "PAIRS", items=50, in_report=True
    ),
    "crossray plan hier_base --nodes 4 --gpu a100-80g": PlanRecipe("hier_base", nodes=4),
    "crossray serve INDEX": Serve("INDEX"),
    "crossray serve INDEX --topology fanout --replicas 1..4 --port 8001 --detach": Serve(
        "INDEX", topology="fanout", replicas="1..4", port=8001, detach=True
    ),
    'crossray search "a dog jumps over a hurdle" --k 5': Search("a dog jumps over a hurdle", k=5),
    'crossray search "There is a large left pleural effusion." --rerank 100': Search(
        "There is a large left pleural effusion.", rerank=100
    ),
    "crossray dashboards --port 9091": Dashboards(port=9091),
    "crossray search --image FILE --target text --mode rescore": Search(
        image=Path("FILE"), target="text", mode="rescore"
    ),
    "python jobs/pretrain.py --recipe hier_tiny --pairs PAIRS --out TEACHER": Pretrain(
        "PAIRS", "TEACHER", get_recipe("hier_tiny")
    ),
    "python jobs/pretrain.py --pairs PAIRS --recipe hier_tiny --out TEACHER --features FEATURES "
    "--optimizer.lr 0.01 --method.grids 2 4 8 --method.no-gate": Pretrain(
        "PAIRS",
        "TEACHER",
        replace(
            get_recipe("hier_tiny"),
            optimizer=replace(get_recipe("hier_tiny").optimizer, lr=0.01),
            method=replace(get_recipe("hier_tiny").method, grids=(2, 4, 8), gate=False),
        ),
        features="FEATURES",
    ),
    "python jobs/repeat.py --recipe hier_tiny --pairs PAIRS --features FEATURES --seeds 5 "
    "--out REPORT": Repeat(
        "PAIRS", "REPORT", get_recipe("hier_tiny"), features="FEATURES", seeds=5
    ),
    "python jobs/repeat.py --recipe hier_tiny --pairs PAIRS --folds 5 --out REPORT "
    "--train.seed 7": Repeat(
        "PAIRS",
        "REPORT",
        replace(get_recipe("hier_tiny"), train=replace(get_recipe("hier_tiny").train, seed=7)),
        folds=5,
    ),
    "python jobs/ablate.py --method hier --pairs PAIRS --seeds 3 --train.epochs 2 "
    "--out REPORT": Ablate(
        "PAIRS",
        "REPORT",
        replace(get_recipe("hier_tiny"), train=replace(get_recipe("hier_tiny").train, epochs=2)),
        ABLATIONS["hier"],
        seeds=3,
    ),
    "python jobs/ablate.py --method hier --recipe hier_pretrained_tiny --pairs PAIRS "
    "--features FEATURES --out REPORT": Ablate(
        "PAIRS",
        "REPORT",
        get_recipe("hier_pretrained_tiny"),
        ABLATIONS["hier"],
        features="FEATURES",
    ),
    "python jobs/pretrain.py --recipe cca --features FEATURES --out TEACHER": Pretrain(
        None, "TEACHER", get_recipe("cca"), features="FEATURES"
    ),
    "python jobs/evaluate.py --model TEACHER --features FEATURES --out REPORT": Evaluate(
        "TEACHER", None, "REPORT", features="FEATURES"
    ),
    "python jobs/few_shot.py --recipe hier_tiny --pairs PAIRS --held-out Fracture Edema "
    "--out REPORT": FewShots("PAIRS", "REPORT", get_recipe("hier_tiny"), ("Fracture", "Edema")),
    "python jobs/annotation_efficiency.py --recipe hier_tiny --pairs PAIRS --fractions 1 0.3 "
    "--out REPORT": AnnotationEfficiency(
        "PAIRS",
        "REPORT",
        get_recipe("hier_tiny"),
        get_recipe("hier_unimodal_tiny"),
        fractions=(1.0, 0.3),
    ),
    "python jobs/pretrain.py --stage unimodal --recipe hier_tiny --pairs PAIRS --out STAGE1 "
    "--method.objective byol": Pretrain(
        "PAIRS",
        "STAGE1",
        replace(
            get_recipe("hier_unimodal_tiny"),
            method=replace(get_recipe("hier_unimodal_tiny").method, objective="byol"),
        ),
    ),
    "python jobs/pretrain.py --recipe hier_tiny --pairs PAIRS --init STAGE1 --out TEACHER": (
        Pretrain("PAIRS", "TEACHER", get_recipe("hier_tiny"), init="STAGE1")
    ),
    "python jobs/evaluate.py --model TEACHER --pairs PAIRS --query-labels Edema,Fracture "
    "--out REPORT": Evaluate("TEACHER", "PAIRS", "REPORT", query_labels="Edema,Fracture"),
    "python jobs/features.py --recipe clip_pretrained_tiny --pairs PAIRS --out FEATURES": (
        Features.of(get_recipe("clip_pretrained_tiny"), "PAIRS", "FEATURES")
    ),
    "python jobs/evaluate.py --model TEACHER --pairs PAIRS --split test --out REPORT": Evaluate(
        "TEACHER", "PAIRS", "REPORT", split="test"
    ),
    "python jobs/evaluate.py --model STUDENT --pairs PAIRS --out REPORT --codes 64 --rescore 100": (
        Evaluate("STUDENT", "PAIRS", "REPORT", codes=64, rescore=100)
    ),
    "python jobs/distill.py --recipe student_tiny --teacher TEACHER --pairs PAIRS --out STUDENT "
    "--method.bits 32 --distillation.layer-map 0 0 1 0": Distill(
        "TEACHER",
        "PAIRS",
        "STUDENT",
        replace(
            get_recipe("student_tiny", STUDENTS),
            method=replace(get_recipe("student_tiny", STUDENTS).method, bits=32),
            distillation=replace(
                get_recipe("student_tiny", STUDENTS).distillation, layer_map=((0, 0), (1, 0))
            ),
        ),
    ),
    "python jobs/embed.py --model STUDENT --pairs PAIRS --out VECTORS": Embed(
        "STUDENT", "PAIRS", "VECTORS"
    ),
    "python jobs/embed.py --model TEACHER --pairs PAIRS --keep representations --out VECTORS": (
        Embed("TEACHER", "PAIRS", "VECTORS", keep="representations")
    ),
    "python jobs/index.py --vectors VECTORS --shards 2 --out INDEX": BuildIndex(
        "VECTORS", "INDEX", shards=2
    ),
    "python jobs/index.py --vectors VECTORS --out INDEX --target-recall 0.9 --memory 2GiB": (
        BuildIndex("VECTORS", "INDEX", target_recall=0.9, memory="2GiB")
    ),
}


@pytest.mark.parametrize("command", CONTRACT)
def test_documented_commands_parse(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of the documentation must do what it says that they do."""
    parsed: list[Any] = []
    for module in ("crossray.cli.verbs", "crossray.cli.jobs"):
        monkeypatch.setattr(f"{module}.run_command", lambda parse, *_: parsed.append(parse()))
    call(command)
    assert parsed == [CONTRACT[command]]


REFUSED = {
    "crossray ingest phantom --items 0 --out PAIRS": "phantom items is 0; give 1 or more.",
    "crossray ingest phantom --unlabelled 2 --out PAIRS": (
        "phantom unlabelled is 2.0; give a fraction in [0, 1.0]."
    ),
    "python jobs/pretrain.py --recipe mmach_tiny --pairs PAIRS --out TEACHER --method.bits 7": (
        "bits=7 does not fill whole bytes; choose a multiple of 8, 8 or more."
    ),
    "python jobs/distill.py --recipe student_tiny --teacher TEACHER --pairs PAIRS --out STUDENT "
    "--method.bits 7": "bits=7 does not fill whole bytes; choose a multiple of 8, 8 or more.",
}


@pytest.mark.parametrize("command", REFUSED)
def test_a_refused_value_is_answered_by_its_sentence(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The parser put the names of its own parts around what the user should read."""
    with pytest.raises(SystemExit) as end:
        call(command)
    assert (end.value.code, capsys.readouterr().err) == (2, f"error: {REFUSED[command]}\n")


if __name__ == "__main__":
    GOLDEN.write_text(frozen(), encoding="utf-8")
