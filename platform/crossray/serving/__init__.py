"""The endpoint: an index and the student that made it, on Ray Serve."""
