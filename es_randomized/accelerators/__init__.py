"""Accelerators that are not here: what is known of them, and what their compilers say of a run."""
