"""Rankings by Hamming distance, judged from the counts at each distance."""
