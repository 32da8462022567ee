"""Many trials of one experiment, from one file to one table."""
