def test_name():
    assert __name__.endswith("two.test_same")
