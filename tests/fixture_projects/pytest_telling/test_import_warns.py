import warnings

warnings.warn("at import", FutureWarning, stacklevel=1)
print("printed at import")


def test_passes():
    pass
