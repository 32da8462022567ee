"""Exact optima and classical algorithms that learned algorithms are scored against."""
