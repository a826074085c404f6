class CheckInner:
    def check_expected(self, expected):
        assert expected == 42
