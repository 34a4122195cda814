"""Other splits of the same pairs, and the check for leaks."""
