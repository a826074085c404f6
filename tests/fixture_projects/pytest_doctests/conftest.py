import pytest

collect_ignore = ["setup_things.py"]


@pytest.fixture(autouse=True)
def names(doctest_namespace):
    doctest_namespace["three"] = 3
