"""Nothing here but what pytest does not collect."""

def helper():
    return 1
