"""On what data models were selected, as a part of a report."""

from dataclasses import dataclass

from crossray.evaluation.report.section import PageSection

TITLE = "Model selection"
CLOSED_FORM = "closed form"


@dataclass(frozen=True)
class Selected:
    """How the epoch of a model was chosen.

    Attributes:
        model: kind and id.
        epoch: the one that was kept.
        epochs: the most there could be.
        by: the metric, `last`, or `CLOSED_FORM` for a model without epochs.
        split: what it was measured on, validation or test.
        items: the most items of it that were looked at.
        pairs: id of the data.
        same_pairs: whether that is the data of the report.
    """

    model: str
    epoch: int
    epochs: int
    by: str
    split: str
    items: int
    pairs: str
    same_pairs: bool


@dataclass(frozen=True)
class SelectionLineage:
    """A model and then the teachers that it learned from; `unknown` names those that are gone."""

    models: tuple[Selected, ...]
    unknown: tuple[str, ...] = ()


def selection_section(selection: SelectionLineage) -> PageSection:
    """The selection for a reader."""
    words = [_sentence(model) for model in selection.models]
    for name in selection.unknown:
        words.append(f"The {name} is no longer there: how it was selected is unknown.")
    return PageSection(TITLE, words, alarm=any(model.split == "test" for model in selection.models))


def _sentence(model: Selected) -> str:
    if model.by == CLOSED_FORM:
        return f"The {model.model} was fitted in closed form: there was nothing to select."
    if model.by == "last":
        return f"The {model.model} is its last epoch, {model.epoch}: none was selected."
    queries = "TEST QUERIES" if model.split == "test" else "the validation split"
    where = "these pairs" if model.same_pairs else f"the pairs {model.pairs}"
    return (
        f"The {model.model} is epoch {model.epoch} of at most {model.epochs}, the best by "
        f"{model.by} (mean of both directions) on {queries} of {where}, of which at most "
        f"{model.items:,} items were looked at."
    )
