"""Figures of arXiv:2408.10818: the runs behind them, made or reused, and the pictures."""
