import pytest


def pytest_collect_file(parent, file_path):
    if file_path.suffix == ".yaml" and file_path.name.startswith("test"):
        return Sheet.from_parent(parent, path=file_path)
    return None


class Sheet(pytest.File):
    def collect(self):
        for line in self.path.read_text().splitlines():
            name, _, value = line.partition(":")
            yield Entry.from_parent(self, name=name.strip(), value=value.strip())


class Entry(pytest.Item):
    def __init__(self, *, value, **rest):
        super().__init__(**rest)
        self.value = value

    def runtest(self):
        if self.value == "skip":
            pytest.skip("as written")
        assert self.value == "good"

    def repr_failure(self, excinfo, style=None):
        return f"entry {self.name} is {self.value}"

    def reportinfo(self):
        return self.path, None, f"entry: {self.name}"
