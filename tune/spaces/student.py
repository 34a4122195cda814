"""A student: the weights of its lessons and the length of its codes; give the sweep a --teacher."""

from ray import tune

from crossray.recipes.student import student_pretrained_small
from crossray.studies.sweep import Space

SPACE = Space(
    student_pretrained_small,
    {
        "method.bits": [16, 32, 64, 128],
        "distillation.contrastive": tune.loguniform(0.3, 10.0),
        "distillation.codes": tune.loguniform(0.3, 10.0),
        "distillation.embedding": tune.uniform(0.0, 1.0),
        "distillation.temperature": tune.loguniform(0.02, 0.2),
    },
    metric="R@10",
)
