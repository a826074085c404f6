"""How plain pytest ends the tests of the ``pytest_*`` projects: file → name → outcome.

The name ``""`` stands for a file that could not be collected, or skipped itself, as a whole.
"""

from collections.abc import Mapping

#: Node id → outcome; several, with a space between, where an id is there several times.
Outcomes = dict[str, str]


def _flat(files: Mapping[str, Mapping[str, str]]) -> Outcomes:
    return {
        f"{path}::{name}" if name else path: outcome
        for path, tests in files.items()
        for name, outcome in tests.items()
    }


OUTCOMES = _flat(
    {
        "tests/test_classes.py": {
            "TestPlain::test_first": "passed",
            "TestPlain::test_second": "passed",
            "TestPlain::TestInner::test_deep": "error",
            "TestPlain::TestInner::TestInnermost::test_deeper[0]": "error",
            "TestPlain::TestInner::TestInnermost::test_deeper[1]": "error",
            "TestBase::test_inherited": "passed",
            "TestDerived::test_inherited": "failed",
            "TestSkipped::test_one": "skipped",
            "TestSetupFails::test_one": "error",
            "TestSetupFails::test_two": "error",
            "TestTeardownFails::test_one": "passed",
            "TestTeardownFails::test_two": "error",
            "TestStatic::test_static": "passed",
            "TestStatic::test_of_class": "passed",
        },
        "tests/test_marked_module.py": {
            "test_never": "skipped",
            "TestGroup::test_never_either": "skipped",
        },
        "tests/test_missing_import.py": {
            "": "skipped",
        },
        "tests/test_parametrised.py": {
            "test_number[1]": "passed",
            "test_number[2]": "failed",
            "test_number[3]": "passed",
            "test_text[]": "passed",
            "test_text[a b]": "passed",
            "test_text[a::b]": "passed",
            "test_text[x[y]]": "passed",
            "test_text[p/q]": "passed",
            "test_text[\\xfc]": "passed",
            "test_text[tab\\t]": "passed",
            "test_text[nul\\x00]": "passed",
            "test_text[\\x1b[31m]": "passed",
            "test_nested[1-2-opaque0]": "passed",
            "test_nested[1-2-opaque1]": "passed",
            "test_nested[named-opaque0]": "passed",
            "test_nested[named-opaque1]": "passed",
            "test_marked[1]": "xfailed",
            "test_marked[2]": "skipped",
            "test_marked[3]": "passed",
            "test_empty[NOTSET]": "skipped",
            "test_same_ids[same0]": "passed",
            "test_same_ids[same1]": "passed",
            "test_same_ids[same2]": "passed",
            "test_parametrised_fixture[RED]": "passed",
            "test_parametrised_fixture[GREEN]": "failed",
        },
        "tests/test_phases.py": {
            "test_set_up_error": "error",
            "test_teardown_error": "error",
            "test_fails_and_tears_down_badly": "failed",
            "test_two_teardown_errors": "error",
            "test_skips_and_tears_down_badly": "error",
            "test_expected_failure_and_bad_teardown": "xfailed",
            "test_skipped_in_set_up": "skipped",
            "test_skipped_in_call": "skipped",
            "test_skipped_at_the_end": "skipped",
            "test_expected_by_a_fixture": "xfailed",
            "test_given_up_in_set_up": "xfailed",
            "test_given_up_in_call": "xfailed",
            "test_fixture_is_missing": "error",
            "test_uses_a_broken_one": "error",
            "test_expected_set_up_error": "xfailed",
            "test_fail": "failed",
            "test_fail_without_traceback": "failed",
            "test_raises": "failed",
            "test_group": "failed",
            "test_system_exit": "failed",
            "test_importorskip": "skipped",
            "test_returns_something": "passed",
            "test_sys_exit_0": "failed",
            "test_module_level_setup": "error",
        },
        "tests/test_skipped_module.py": {
            "": "skipped",
        },
        "tests/test_xfail.py": {
            "test_fails": "xfailed",
            "test_passes": "xpassed",
            "test_passes_strict": "failed",
            "test_fails_strict": "xfailed",
            "test_raises_the_right_thing": "xfailed",
            "test_raises_the_wrong_thing": "failed",
            "test_not_run": "xfailed",
            "test_condition_is_false": "passed",
            "test_condition_is_a_text": "xfailed",
            "test_condition_is_broken": "error",
            "test_skipped_by_text": "skipped",
            "test_not_skipped": "passed",
        },
    }
)

FIXTURES = _flat(
    {
        "tests/inner/test_inner.py": {
            "test_name": "passed",
            "test_package": "passed",
        },
        "tests/test_overrides.py": {
            "test_name": "passed",
            "TestClass::test_name": "passed",
            "TestClass::test_direct[direct]": "passed",
        },
        "tests/test_scopes.py": {
            "TestFirst::test_one": "passed",
            "TestFirst::test_two": "passed",
            "TestSecond::test_one": "passed",
            "test_turns[one]": "passed",
            "test_turns_again[one]": "passed",
            "test_turns[two]": "passed",
            "test_turns_again[two]": "passed",
            "test_name": "passed",
            "test_generated[a]": "passed",
            "test_generated[b]": "passed",
            "test_session_directory": "passed",
            "test_finalizer_order": "passed",
            "test_monkeypatch": "passed",
            "test_caplog": "passed",
            "test_capfd": "passed",
            "test_cache": "passed",
            "test_config": "passed",
        },
    }
)

SUBTESTS = _flat(
    {
        "test_fixture.py": {
            "test_all_pass": "passed",
            "test_one_fails": "failed",
            "test_one_is_skipped": "passed",
            "test_one_is_expected_to_fail": "passed",
            "test_fails_beside_them": "failed",
            "test_fails_beside_failing_ones": "failed",
            "test_skipped_after_a_failure": "failed",
            "test_nested": "failed",
            "test_expected_with_failing_subtest": "xpassed",
            "test_prints": "failed",
        },
        "test_unittest.py": {
            "Case::test_all_pass": "passed",
            "Case::test_expected": "xfailed",
            "Case::test_fails_beside_them": "failed",
            "Case::test_one_fails": "failed",
            "Case::test_one_is_skipped": "passed",
            "Case::test_one_raises": "failed",
            "Case::test_two_fail": "failed",
            "Fixtures::test_never": "error",
            "Fixtures::test_never_either": "error",
            "Bad::test_skipped": "skipped",
            "Bad::test_teardown": "failed",
            "Bad::test_unexpectedly_good": "failed",
            "Asynchronous::test_awaits": "passed",
            "Asynchronous::test_fails": "failed",
        },
    }
)

TELLING = _flat(
    {
        "test_import_warns.py": {
            "test_passes": "passed",
        },
        "test_output.py": {
            "test_streams": "failed",
            "test_descriptors": "failed",
            "test_escapes": "failed",
            "test_passes_and_prints": "passed",
            "test_warns": "passed",
            "test_multiline": "failed",
            "test_properties": "passed",
            "test_unspeakable": "failed",
            "test_unnameable": "failed",
            "test_xml_attribute": "passed",
        },
    }
)

BROKEN = _flat(
    {
        "tests/test_good.py": {
            "test_passes": "passed",
        },
        "tests/test_half.py": {
            "TestBad": "error",
            "test_passes": "passed",
            "test_behind[1]": "passed",
            "test_behind[2]": "passed",
        },
        "tests/test_import_error.py": {
            "": "error",
        },
        "tests/test_raises.py": {
            "": "error",
        },
        "tests/test_skips_wrongly.py": {
            "": "error",
        },
        "tests/test_syntax_error.py": {
            "": "error",
        },
    }
)

ASYNC = _flat(
    {
        "test_async.py": {
            "test_passes[asyncio]": "passed",
            "test_passes[trio]": "passed",
            "test_fails[asyncio]": "passed",
            "test_fails[trio]": "failed",
            "test_skips[asyncio]": "skipped",
            "test_skips[trio]": "skipped",
            "test_without_mark": "failed",
        },
    }
)

ITEMS = _flat(
    {
        "tests/deep/test_more.yaml": {
            "only": "passed",
        },
        "tests/test_python.py": {
            "test_passes": "passed",
        },
        "tests/test_sheet.yaml": {
            "first": "passed",
            "second": "failed",
            "third": "skipped",
        },
    }
)

DOCTESTS = _flat(
    {
        "README.rst": {
            "README.rst": "failed",
        },
        "checks/test_both.py": {
            "test_both": "passed",
            "test_plain": "passed",
        },
        "product/broken.py": {
            "": "error",
        },
        "product/computed.py": {
            "product.computed.made": "passed",
        },
        "product/numbers.py": {
            "product.numbers.Box": "passed",
            "product.numbers.Box.grow": "skipped",
            "product.numbers.double": "passed",
            "product.numbers.half": "failed",
        },
        "guide.txt": {
            "guide.txt": "passed",
        },
    }
)

SAME_NAMES = _flat(
    {
        "one/test_same.py": {
            "test_name": "passed",
            "test_only_in_one": "passed",
        },
        "two/test_same.py": {
            "test_name": "passed",
        },
    }
)

SAME_NAMES_BARE = _flat(
    {
        "one/test_same.py": {
            "test_one": "passed",
        },
        "two/test_imports_a_sibling.py": {
            "test_sibling": "skipped",
        },
        "two/test_same.py": {
            "test_two": "passed",
        },
    }
)

ROOTS_BELOW = _flat(
    {
        "tests/test_root.py": {
            "test_root": "passed",
            "test_conftest_beside": "passed",
            "test_conftest_above": "error",
            "test_node_id": "passed",
            "test_directory": "passed",
        },
    }
)

ROOTS_ABOVE = _flat(
    {
        "product/tests/test_root.py": {
            "test_root": "failed",
            "test_conftest_beside": "passed",
            "test_conftest_above": "passed",
            "test_node_id": "failed",
            "test_directory": "passed",
        },
    }
)

PLUGGED = _flat(
    {
        "tests/test_plugins.py": {
            "test_greeting": "passed",
            "test_late": "passed",
            "test_number": "passed",
            "test_turned_into_a_skip": "skipped",
            "test_own_word": "passed",
        },
    }
)

INSIDE = _flat(
    {
        "src/pack/inner/check_inner.py": {
            "CheckInner::check_expected": "passed",
        },
        "src/pack/tests/test_core.py": {
            "test_relative": "passed",
            "test_name": "passed",
            "check_function": "passed",
        },
    }
)

IGNORING = _flat(
    {
        "part/test_kept_too.py": {
            "test_passes": "passed",
        },
        "part/test_named.py": {
            "test_kept": "passed",
        },
        "test_kept.py": {
            "test_passes": "passed",
        },
    }
)

SMALL = _flat(
    {
        "tests/test_one.py": {
            "test_passes": "passed",
            "test_fails": "failed",
            "test_passes_too": "passed",
        },
        "tests/test_two.py": {
            "test_passes": "passed",
            "test_skipped": "skipped",
            "test_unexpectedly_good": "xpassed",
        },
    }
)

GREEN = _flat(
    {
        "tests/test_one.py": {
            "test_passes": "passed",
            "test_passes_too": "passed",
        },
        "tests/test_two.py": {
            "test_passes": "passed",
            "test_warns": "passed",
        },
    }
)

HOOKS = _flat(
    {
        "tests/test_shaky.py": {
            "test_third_time": "failed",
            "test_second_set_up": "error",
            "test_once_only": "passed",
        },
        "tests/test_small.py": {
            "test_passes": "passed",
            "test_fails": "failed",
        },
    }
)
