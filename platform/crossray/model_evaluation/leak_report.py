"""The leak check of an evaluation: shown on the screen, and handed to its report."""

from __future__ import annotations

from crossray.core.artifacts import Artifact
from crossray.core.inspection import lineage
from crossray.data.split import Split
from crossray.data.splits.leaks import check_leaks
from crossray.evaluation.report.leak_section import Leaked, LeakFindings


def look_for_leaks(pairs: Artifact, split: Split, trained: Artifact) -> LeakFindings:
    """Compare the splits of `pairs` and say what was found, before a model is judged on one.

    What the model, or one that it learned or started from, was trained on, where that is other
    data, is named as not compared.
    """
    print(f"looking for leaks between the splits of {pairs.uri}", flush=True)
    check = check_leaks(pairs, split)
    items = pairs.manifest.metrics["splits"]
    seen = {
        parent.id: None
        for model in lineage(trained)
        if model.kind in ("teacher", "student")
        for parent in model.manifest.parents
        if parent.kind == "pairs" and parent.id != pairs.id
    }
    unchecked = tuple(
        f"NOT compared: the pairs {found[:12]}, on which the model was trained." for found in seen
    )
    for leak in check.leaks:
        earlier, later = leak.splits
        examples = ", ".join(f"{second} = {first}" for first, second in leak.examples)
        print(
            f"leak by {leak.kind}: {leak.count:,} of {later} in {earlier} ({examples})", flush=True
        )
    if not check.leaks:
        print("nothing leaks between train, val and test", flush=True)
    for sentence in unchecked:
        print(sentence, flush=True)
    found = tuple(
        Leaked(
            leak.kind,
            leak.splits[1],
            leak.splits[0],
            leak.count,
            items[leak.splits[1]],
            tuple((later, earlier) for earlier, later in leak.examples),
        )
        for leak in check.leaks
    )
    return LeakFindings(found, sum(items.values()), check.images, check.of_images, unchecked)
