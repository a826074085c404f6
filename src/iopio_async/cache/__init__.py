"""Package cache."""
