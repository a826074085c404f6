"""A package, so that its modules are imported by dotted names."""
