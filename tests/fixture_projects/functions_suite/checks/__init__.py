"""A package of checks, without any test framework."""
