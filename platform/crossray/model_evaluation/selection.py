"""On what data models were selected: what a report says of it, and the warning."""

from crossray.core.artifacts import Artifact, open_artifact
from crossray.core.errors import CrossRayError
from crossray.evaluation.report.selection_section import CLOSED_FORM, Selected, SelectionLineage
from crossray.methods.recipe import TrainConfig

ON_TEST = (
    "selected on test queries, not on validation: figures on the test split of its pairs are too "
    "good, those of its students too"
)


def selection_notes(model: str, train: TrainConfig) -> list[str]:
    """The warning of a run that judges its epochs on the test split, if it does."""
    return [f"WARNING: {model} was {ON_TEST}."] if train.selection == "test" else []


def selection_of(trained: Artifact, data: Artifact) -> SelectionLineage:
    """How a model and the teachers it learned from were selected, for a report on `data`."""
    models: tuple[Selected, ...] = (_selected(trained, data),)
    unknown: tuple[str, ...] = ()
    for parent in trained.manifest.parents:
        if parent.kind != "teacher":
            continue
        try:
            teacher = open_artifact(parent.uri, "teacher")
        except CrossRayError:
            teacher = None
        if teacher is None or teacher.id != parent.id:
            unknown += (f"teacher {parent.id[:12]}",)
            continue
        earlier = selection_of(teacher, data)
        models, unknown = models + earlier.models, unknown + earlier.unknown
    return SelectionLineage(models, unknown)


def _selected(model: Artifact, data: Artifact) -> Selected:
    train, metrics = model.manifest.config["train"], model.manifest.metrics
    parents = model.manifest.parents
    seen = next(parent.id for parent in parents if parent.kind in ("pairs", "features"))
    fitted = "best_epoch" not in metrics
    return Selected(
        model=f"{model.kind} {model.id[:12]}",
        epoch=0 if fitted else metrics["best_epoch"],
        epochs=0 if fitted else train["epochs"],
        by=CLOSED_FORM if fitted else train["select_by"],
        # Models older than the choice had none.
        split=train.get("selection", "validation"),
        items=train["validation_items"],
        pairs=seen[:12],
        same_pairs=seen == data.id,
    )
