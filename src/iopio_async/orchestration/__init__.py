"""Package orchestration."""
