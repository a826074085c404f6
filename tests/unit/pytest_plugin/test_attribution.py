"""Which segments of the trace a test depends on."""

from iopio_async.pytest_plugin.attribution import BASE, UNTOLD, Attribution


class Tape:
    """Notes which segments were told."""

    def __init__(self) -> None:
        self.told: list[int | None] = []

    def go_on(self, number: int) -> None:
        self.told.append(number)

    def rest(self) -> None:
        self.told.append(None)


def test_segments_are_nested_and_gone_back_to() -> None:
    tape = Tape()
    attribution = Attribution(tape)
    with attribution.within() as outer, attribution.within() as inner:
        assert attribution.active == inner
    assert attribution.active == BASE
    attribution.rest()
    with attribution.within() as third:
        pass
    assert attribution.active is None
    assert tape.told == [outer, inner, outer, BASE, None, third, None]


def test_a_test_depends_on_the_base_and_on_its_own() -> None:
    attribution = Attribution(Tape())
    with attribution.within() as first:
        pass
    with attribution.within() as second:
        pass
    assert attribution.closure(second) == (BASE, second)
    assert attribution.closure(first) == (BASE, first)


def test_what_is_needed_is_depended_on_however_far() -> None:
    attribution = Attribution(Tape())
    numbers = []
    for _ in range(4):
        with attribution.within() as number:
            numbers.append(number)
    fixture, inner, test, other = numbers
    attribution.need(test, fixture)
    attribution.need(fixture, inner)
    attribution.need(inner, fixture)
    assert attribution.closure(test) == (BASE, fixture, inner, test)
    assert attribution.closure(other) == (BASE, other)


def test_who_asks_for_a_module_depends_on_its_first_import() -> None:
    attribution = Attribution(Tape())
    with attribution.within() as first_file:
        attribution.asked("shop.price")
        with attribution.within() as package:
            attribution.searched("shop")
        with attribution.within() as module:
            attribution.searched("shop.price")
            attribution.asked("shop.tax")
            with attribution.within() as inner:
                attribution.searched("shop.tax")
    with attribution.within() as second_file:
        attribution.asked("shop", ["price"])
    with attribution.within() as third_file:
        attribution.asked("shop.tax")
    assert attribution.closure(first_file) == (BASE, package, module, inner, first_file)
    assert set(attribution.closure(second_file)) == {BASE, package, module, inner, second_file}
    assert set(attribution.closure(third_file)) == {BASE, package, inner, third_file}


def test_between_segments_nobody_asks() -> None:
    attribution = Attribution(Tape())
    with attribution.within():
        attribution.searched("shop")
    attribution.rest()
    attribution.asked("shop")
    with attribution.within() as number:
        pass
    assert attribution.closure(number) == (BASE, number)


def test_what_was_imported_between_segments_is_not_known() -> None:
    attribution = Attribution(Tape())
    attribution.rest()
    attribution.searched("shop")
    attribution.searched("json")
    with attribution.within() as first:
        attribution.asked("json")
    with attribution.within() as second:
        attribution.asked("shop")
    attribution.forgive(lambda module: module == "json")
    assert attribution.closure(first) == (BASE, first)
    assert attribution.closure(second) == (UNTOLD, BASE, second)


def test_who_is_left_is_told() -> None:
    attribution = Attribution(Tape())
    left: list[int] = []
    attribution.left = left.append
    with attribution.within() as outer, attribution.within() as inner:
        pass
    assert left == [BASE, outer, inner, outer]
