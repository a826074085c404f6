def test_left_out():
    raise AssertionError("deselected")


def test_kept():
    pass
