"""What Ray Serve runs: the deployments of both topologies, and their backends."""
