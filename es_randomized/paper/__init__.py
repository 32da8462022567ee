"""Figures of arXiv:2408.10818: what is varied, and what is drawn."""
