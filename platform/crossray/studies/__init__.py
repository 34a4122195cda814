"""Many runs that answer one question: repeats, ablations, shots, annotation, sweeps."""

from crossray.studies.ablate import Ablate
from crossray.studies.annotation import AnnotationEfficiency
from crossray.studies.few_shot import FewShots
from crossray.studies.repeat import Repeat

__all__ = ["Ablate", "AnnotationEfficiency", "FewShots", "Repeat"]
