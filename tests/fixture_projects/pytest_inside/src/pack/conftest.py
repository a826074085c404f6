import pytest

from pack.core import answer


@pytest.fixture
def expected():
    return answer()
