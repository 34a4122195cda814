"""What methods read: one split of a data set, in batches."""
