"""Why a model gives an image and a text their score: heat maps, words, dimensions and bits."""

from __future__ import annotations

from crossray.explain.explainer import Explainer, Explanation, Words

__all__ = ["Explainer", "Explanation", "Words"]
