"""Encoded images of unknown origin: bounded, checked, and their boxes and masks."""
