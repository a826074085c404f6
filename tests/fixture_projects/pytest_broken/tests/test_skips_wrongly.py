import pytest

pytest.skip("without leave")
