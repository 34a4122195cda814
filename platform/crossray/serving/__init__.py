"""The endpoint: an index and the model that made it, on Ray Serve."""
