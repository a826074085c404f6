def pytest_ignore_collect(collection_path, config):
    if collection_path.name == "test_by_hook.py":
        return True
    return None


def pytest_collection_modifyitems(config, items):
    gone = [item for item in items if item.name == "test_left_out"]
    items[:] = [item for item in items if item not in gone]
    config.hook.pytest_deselected(items=gone)
