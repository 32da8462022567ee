"""es_randomized and other libraries of evolution strategies, side by side: same task, model, population and settings."""
