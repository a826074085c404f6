def test_name(name):
    assert name == "root/tests/inner"


def test_package(of_package, session_log):
    assert session_log[-1] == "package"
