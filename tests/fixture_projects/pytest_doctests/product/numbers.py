def double(n):
    """Twice as much.

    >>> double(three)
    6
    """
    return 2 * n


def half(n):
    """Half as much.

    >>> half(3)
    1
    """
    return n / 2


class Box:
    """
    >>> Box().size
    0
    """

    size = 0

    def grow(self):
        """
        >>> box = Box(); box.grow(); box.size  # doctest: +SKIP
        2
        """


def undocumented():
    pass
