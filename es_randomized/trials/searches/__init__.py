"""Searches: one file per kind, with one class derived from `Search`."""
