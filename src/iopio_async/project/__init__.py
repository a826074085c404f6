"""Package project."""
