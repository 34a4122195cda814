"""From a model and a corpus to the arrays that `evaluation` judges."""
