def pytest_collection_modifyitems():
    raise RuntimeError("no order")
