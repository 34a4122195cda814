"""The training loop on Ray Train and DeepSpeed, and the jobs around it."""
