def test_passes():
    pass


def test_fails():
    raise AssertionError("as ever")
