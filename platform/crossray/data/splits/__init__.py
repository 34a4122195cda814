"""Splits: assigned by group, drawn anew, and checked for leaks."""
