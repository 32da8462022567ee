"""A sweep on a page: its trials, how they learned, and what their settings came to."""
