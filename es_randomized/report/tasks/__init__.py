"""What each task has to show."""
