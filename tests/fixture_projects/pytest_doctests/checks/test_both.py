"""
>>> 1 + 1
2
"""


def test_plain():
    pass
