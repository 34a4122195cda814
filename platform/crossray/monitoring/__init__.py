"""Dashboards of training, sweeps, the cluster and the endpoint, and the servers that show them."""
