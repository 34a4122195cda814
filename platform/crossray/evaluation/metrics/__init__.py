"""One metric a file: pure functions of arrays."""
