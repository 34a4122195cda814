"""Make small artifacts of every kind: `python tests/golden/make_artifacts.py FOLDER`.

`tests/golden/artifacts` was made once and is never made again: what users have must open in every
later version. A new kind of artifact is added beside the others.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import ray

from crossray.core.artifacts import MANIFEST
from crossray.data.phantom import PhantomConfig
from crossray.data.sources.phantom import PhantomSource
from crossray.encoders.text import BertShape
from crossray.methods.recipe import Recipe
from crossray.recipes import STUDENTS, get_recipe
from crossray.stages.distill import Distill, StudentRecipe
from crossray.stages.embed import Embed
from crossray.stages.index import BuildIndex
from crossray.stages.ingest import ingest
from crossray.stages.pretrain import Pretrain
from crossray.studies.repeat import Repeat

STORE = "/golden"  # what stands for the folder of the artifacts in their manifests
KEPT = (
    "pairs", "features", "teacher", "student", "vectors", "index", "repeat", "sweep",
    "sweep-trials/*",
)  # fmt: skip


def small_hier() -> Recipe:
    """HIER with its structure level, in 200 kB of weights."""
    recipe = get_recipe("hier_tiny")
    shape = BertShape(layers=1, width=32, heads=2, ffn_width=32, dropout=0.0)
    method = replace(
        recipe.method,
        text=replace(recipe.method.text, shape=shape), embedding=16, hidden=32, grids=(2,),
        structure_width=8, structure_feed_forward=8,
    )  # fmt: skip
    tokenizer = replace(recipe.tokenizer, vocab_size=300, max_tokens=64)
    train = replace(recipe.train, epochs=2, batch_size=16, validation_items=8, workers=1)
    return replace(recipe, method=method, tokenizer=tokenizer, train=train)


def small_student() -> StudentRecipe:
    """A student with codes of 16 bits."""
    recipe = get_recipe("student_tiny", STUDENTS)
    shape = BertShape(layers=1, width=32, heads=2, ffn_width=32, dropout=0.0)
    method = replace(
        recipe.method, text=replace(recipe.method.text, shape=shape), embedding=16, bits=16
    )
    train = replace(recipe.train, epochs=2, batch_size=16, validation_items=8, workers=1)
    return replace(recipe, method=method, train=train)


def make(store: Path) -> None:
    """Run the lineage once, and a sweep and a repeated run."""
    from crossray.cli import main
    from crossray.cli.jobs import search_job
    from support.sweeps import write_space, write_vectors

    ingest(PhantomSource(PhantomConfig(items=64, seed=5)), str(store / "pairs"))
    Pretrain("pairs", "teacher", small_hier()).run()
    Distill("teacher", "pairs", "student", small_student()).run()
    Embed("student", "pairs", "vectors", split="test").run()
    BuildIndex("vectors", "index", shards=2).run()
    Repeat("pairs", "repeat", get_recipe("cca"), seeds=2).run()
    write_vectors(store / "vectors.npz", rows=160)
    keys = ["--image-key", "images", "--text-key", "texts", "--label-key", "labels"]
    main(["ingest", "features", str(store / "vectors.npz"), *keys, "--out", "features"])
    space = write_space(store / "space.py", '{"train.batch_size": [16, 32]}')
    ask = ["--space", str(space), "--features", "features", "--search", "grid"]
    search_job([*ask, "--scheduler", "none", "--out", "sweep"])


def publish(store: Path, out: Path) -> None:
    """Copy what is kept, with a name in place of the folder in which it was made."""
    for folder in (found for kept in KEPT for found in sorted(store.glob(kept))):
        target = out / folder.relative_to(store)
        shutil.copytree(folder, target)
        text = (folder / MANIFEST).read_text(encoding="utf-8")
        (target / MANIFEST).write_text(text.replace(str(store), STORE), encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    made = Path(tempfile.mkdtemp(prefix="crossray-golden-"))
    os.environ["CROSSRAY_STORE"] = str(made)
    os.environ["XDG_CACHE_HOME"] = str(made / "cache")
    ray.init(address="local", num_cpus=2, log_to_driver=False, include_dashboard=False)
    make(made)
    publish(made, Path(sys.argv[1]))
