"""Package worker."""
