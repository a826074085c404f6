def nothing_to_see():
    """No prompt here."""
