"""iopio."""
