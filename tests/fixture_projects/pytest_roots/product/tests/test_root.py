def test_root(request):
    assert request.config.rootpath.name == "product"
    assert request.config.inipath.name == "pytest.ini"


def test_conftest_beside(beside):
    assert beside == "beside"


def test_conftest_above(above):
    assert above == "above"


def test_node_id(request):
    assert request.node.nodeid == "tests/test_root.py::test_node_id"


def test_directory(request):
    import os

    assert os.getcwd() == str(request.config.invocation_params.dir)
