def test_name():
    assert __name__.endswith("one.test_same")


def test_only_in_one():
    pass
