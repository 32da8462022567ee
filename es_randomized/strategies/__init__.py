"""Search distributions: losses in, weights out."""
