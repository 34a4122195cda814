"""Starting from an earlier teacher: what is taken over, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.core.config import to_dict
from crossray.core.errors import CrossRayError
from crossray.encoders.text import BertShape
from crossray.methods.clip import ClipConfig
from crossray.methods.config import MethodConfig
from crossray.methods.mmdl import MmdlConfig
from crossray.methods.recipe import TokenizerConfig
from crossray.models.artifact import TOKENIZER, WEIGHTS, method_to_dict, save_weights
from crossray.models.fitting import make_tokenizer
from crossray.recipes import get_recipe
from crossray.stages import pretrain
from crossray.stages.pretrain import Pretrain
from crossray.training.initial_weights import start_from, tokenizer_of
from crossray.training.spec import RunSpec
from support.pairs import phantom_pairs
from support.repeats import small_recipe
from support.tiny import IMAGE, TEXT, TINY

CLIP = ClipConfig(image=IMAGE, text=TEXT, embedding=16, hidden=16)


def teacher(folder: Path, config: MethodConfig, seed: int = 7) -> Artifact:
    """An untrained model, published without a tokenizer."""
    torch.manual_seed(seed)
    with create(str(folder), "teacher", {"method": method_to_dict(config)}) as draft:
        state = {
            name: torch.rand_like(v.float()) for name, v in config.build().state_dict().items()
        }
        save_weights(state, draft.path / WEIGHTS)
    return open_artifact(str(folder))


def test_matching_weights_are_taken_and_others_start_anew(tmp_path: Path) -> None:
    """Stage 2 from random towers would look like a run with stage 1, only worse."""
    earlier = teacher(tmp_path / "earlier", CLIP)
    torch.manual_seed(0)
    method = TINY["hier"].build()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    taken = start_from(method, earlier)
    stored = load_file(earlier.local() / WEIGHTS)
    assert set(taken.taken) == stored.keys() & before.keys()
    assert any(name.startswith("text_tower.") for name in taken.taken)
    assert set(taken.new) == before.keys() - stored.keys()
    assert set(taken.left) == stored.keys() - before.keys()
    for name, value in method.state_dict().items():
        expected = stored[name].to(value.dtype) if name in taken.taken else before[name]
        assert torch.equal(value, expected), name
    words = taken.words("EARLIER")
    assert f"{len(taken.taken)} tensors start as in EARLIER: " in words
    towers = sum(name.startswith("image_tower.") for name in taken.taken)
    assert f"image_tower ({towers})" in words.split("anew start")[0]
    assert "gate (2)" in words
    assert "not taken " in words
    assert "logit_scale (1)" in words


def test_the_second_phase_of_mmdl_starts_from_all_that_it_has(tmp_path: Path) -> None:
    """Images without reports would be learned from scratch, and phase A be lost."""
    config = TINY["mmdl"]
    assert isinstance(config, MmdlConfig)
    earlier = teacher(tmp_path / "earlier", config)
    alone = replace(config, modalities=("image",))
    taken = start_from(alone.build(), earlier)
    assert not taken.new
    assert {name.split(".")[0] for name in taken.left} == {"encoder", "text_tower"}
    assert not [name for name in taken.left if "image" in name]
    renamed = replace(alone, labels=("a", "b", "c", "d"))
    with pytest.raises(CrossRayError, match="learned 4 other labels than the 4 of this run"):
        start_from(renamed.build(), earlier)


def test_towers_of_features_are_kept(tmp_path: Path) -> None:
    """Cached maps of one tower must not be published with another tower's weights."""
    method = TINY["clip"].build()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    taken = start_from(method, teacher(tmp_path / "earlier", CLIP), towers=False)
    assert not [name for name in taken.taken if "_tower." in name]
    assert "image_head.0.weight" in taken.taken
    for name, value in method.state_dict().items():
        if "_tower." in name:
            assert torch.equal(value, before[name]), name


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    """A run that silently starts from nothing would be reported as one that starts from stage 1."""
    shape = BertShape(layers=1, width=64, heads=2, ffn_width=32, dropout=0.0)
    wide = replace(CLIP, text=replace(TEXT, shape=shape))
    with pytest.raises(CrossRayError, match=r"has the shape \(16, 64\) there and \(16, 32\) here"):
        start_from(TINY["clip"].build(), teacher(tmp_path / "wide", wide))
    with create(str(tmp_path / "foreign"), "teacher", {"method": {}}) as draft:
        save_weights({"other.weight": torch.zeros(2)}, draft.path / WEIGHTS)
    with pytest.raises(CrossRayError, match="no weight that this model could start from"):
        start_from(TINY["clip"].build(), open_artifact(str(tmp_path / "foreign")))


def test_a_run_reads_with_the_vocabulary_that_it_starts_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Token tables of two vocabularies have one shape: every word would start as another one."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    pairs = phantom_pairs(str(tmp_path / "pairs"), 30)
    phantom_pairs(str(tmp_path / "others"), 30, seed=9)
    recipe = small_recipe()
    own = make_tokenizer(recipe.tokenizer, pairs)
    config = {**to_dict(recipe), "method": method_to_dict(recipe.method)}
    with create(str(tmp_path / "stage-1"), "teacher", config, (pairs,)) as draft:
        save_weights({"text_tower.x": torch.zeros(2)}, draft.path / WEIGHTS)
        own.save(draft.path / TOKENIZER)
    runs: list[RunSpec] = []
    monkeypatch.setattr(pretrain, "publish", lambda run, _: runs.append(run) or pairs)
    Pretrain("others", "stage-2", recipe, init="stage-1").run()
    (run,) = runs
    assert run.tokenizer is not None
    assert run.tokenizer.to_str() == own.to_str()
    assert [(p.kind, Path(p.uri).name) for p in run.parents] == [
        ("pairs", "others"),
        ("teacher", "stage-1"),
    ]
    assert run.data is run.parents[0]
    assert run.init is not None
    assert run.init.uri == str(tmp_path / "stage-1")
    without = replace(run, init=None)
    assert without.storage != run.storage, "another run must not be resumed"
    other = tmp_path / "other.json"
    make_tokenizer(TokenizerConfig(vocab_size=300), pairs).save(other)
    with pytest.raises(CrossRayError, match="every word would start as another one"):
        tokenizer_of(run.parents[1], TokenizerConfig(source=f"path:{other}"))
    with pytest.raises(CrossRayError, match="fitted at once and starts from no weights"):
        Pretrain("others", "x", get_recipe("cca"), init="stage-1").run()
    with pytest.raises(CrossRayError, match="there is no artifact"):
        Pretrain("others", "x", recipe, init="nothing").run()
