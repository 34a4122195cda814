"""Trained models as artifacts: saved, loaded, and ready to encode and score."""
