"""The problems: one readable file each."""
