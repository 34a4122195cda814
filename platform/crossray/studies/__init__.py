"""Many runs that answer one question: repeats, ablations, shots, annotation, sweeps."""
