def pytest_collection_modifyitems(items):
    items[:] = [item for item in items for _ in range(2)]
