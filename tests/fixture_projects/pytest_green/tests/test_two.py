import warnings


def test_passes():
    pass


def test_warns():
    warnings.warn("old ways", DeprecationWarning, stacklevel=1)
