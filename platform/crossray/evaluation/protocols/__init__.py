"""Every choice that changes a number, under one name."""
