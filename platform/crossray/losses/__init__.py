"""Losses: pure functions of tensors, one named function per term of an equation."""
