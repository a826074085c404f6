"""Config → plan: which modules this run has, and what each attempt of them executes."""

import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from iopio_async.analysis.marks import group_mark
from iopio_async.analysis.outline import outline
from iopio_async.errors import UsageError
from iopio_async.history import last_failed
from iopio_async.history.durations import History
from iopio_async.model.action import Action
from iopio_async.model.config import Config, ModuleSettings
from iopio_async.model.module import (
    REMAINDER_PATH,
    Claim,
    Framework,
    ModuleKind,
    TestModule,
)
from iopio_async.orchestration.division import divider
from iopio_async.orchestration.naming import Naming, Unnamed
from iopio_async.orchestration.preloading import with_preloads
from iopio_async.orchestration.units import Divide
from iopio_async.planning.estimate import Outlook, ordered, outlook
from iopio_async.planning.overrides import settings_for
from iopio_async.planning.scheduler import Start
from iopio_async.planning.selection import (
    UNITTEST_FILES,
    choose_framework,
    framework_without_pytest,
    names_asked_for,
    shard,
    split_node_id,
)
from iopio_async.project.discovery import Discovery, discover, read_outlines
from iopio_async.project.given_paths import path_in
from iopio_async.project.pytest_arguments import selects
from iopio_async.project.pytest_config import PytestConfig, locate_pytest_config
from iopio_async.project.tree import Tree, import_root
from iopio_async.reporting import wording
from iopio_async.wire.contract import TRACE_FILE


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is going to do.

    ``remainder`` stands for items beyond the known files, where they are this run's business;
    ``remainder_expected`` says that it is certain to be needed. ``outlook`` is what is expected of
    the modules, from earlier runs; ``divide`` splits those that are long. ``naming`` tells how each
    was selected.
    """

    modules: tuple[TestModule, ...]
    make_action: Callable[[TestModule, Start], Action]
    settings_of: Callable[[str], ModuleSettings]
    remainder: TestModule | None = None
    remainder_expected: bool = False
    warnings: tuple[str, ...] = ()
    outlook: Outlook = Outlook()
    naming: Naming | Unnamed = Unnamed()
    divide: Divide = list


def prepare(config: Config, *, color: bool = False) -> Plan:
    """Find the modules of a run.

    Raises:
        UsageError: a path does not exist, or the framework that is asked for isn't installed.
    """
    pytest_installed = importlib.util.find_spec("pytest") is not None
    if config.framework == "pytest" and not pytest_installed:
        raise UsageError(
            "framework is pytest, but pytest is not installed beside iopio",
            hint=f"install it for {sys.executable}, or choose another --framework",
        )
    here = Path(config.invocation_dir)
    pytest_config = locate_pytest_config(here, config.paths, config.arguments, os.environ)
    tree = Tree(config.root)
    unittest_names = config.framework == "unittest" or not (
        pytest_installed or pytest_config.configured
    )
    found = discover(
        pytest_config,
        config.invocation_dir,
        root=config.root,
        paths=config.paths,
        testpaths=config.testpaths,
        python_files=UNITTEST_FILES if unittest_names else (),
        search_path=_search_path(config),
    )
    modules = _with_frameworks(config, found, pytest_config, tree, pytest_installed)
    by_pytest = any(module.framework is Framework.PYTEST for module in modules) or not modules
    known = tuple(module.path for module in modules)
    warnings = found.warnings
    if config.shard is not None:
        modules = shard(modules, config.shard.index, config.shard.count)
    whole = config.shard is None or config.shard.index == 1
    remains: tuple[TestModule, ...] = ()
    if whole and by_pytest and pytest_installed:
        remains = (TestModule(path=REMAINDER_PATH, kind=ModuleKind.REMAINDER),)
    expected = found.leftover
    if config.last_failed:
        wanted, note = _only_last_failed(config, (*modules, *remains))
        if note:
            warnings = (*warnings, note)
        else:
            modules = tuple(module for module in wanted if module.kind is ModuleKind.FILE)
            remains = tuple(module for module in wanted if module.kind is ModuleKind.REMAINDER)
            expected = bool(remains)
    if any("::" in path for path in config.paths):
        modules = tuple(_narrowed_by_id(config, module) for module in modules)
    if config.forks:
        modules = with_preloads(tree, found.roots, pytest_config.import_mode, modules)
    settings = {module.path: settings_for(config, module.path) for module in modules}
    history = History.load(config.root)
    summaries = history.summaries(module.path for module in (*modules, *remains))
    slots = {
        path: min(each.workers, config.workers)
        for path, each in settings.items()
        if each.workers > 1
    }
    modules = ordered(modules, summaries, failed_first=config.maxfail > 0, slots=slots)
    expectations = outlook(
        (*modules, *remains) if expected else modules,
        summaries,
        whole=not _narrowed(config),
        slots=slots,
    )

    def settings_of(path: str) -> ModuleSettings:
        return settings.get(path) or settings_for(config, path)

    divide = divider(
        history,
        summaries,
        expectations.durations_s,
        settings_of,
        config.workers,
        parts_wanted=not _narrowed(config),
    )
    options, given = _pytest_arguments(config, found)
    return Plan(
        modules=tuple(_with_group(module, tree, settings[module.path]) for module in modules),
        make_action=_ActionMaker(config, (*options, *given), tree, known, color=color),
        settings_of=settings_of,
        divide=divide,
        remainder=remains[0] if remains else None,
        remainder_expected=expected,
        warnings=(*warnings, *_over_limit(config, expectations)),
        outlook=expectations,
        naming=Naming(config, pytest_config, found, tree, options=options, given=given),
    )


def _narrowed(config: Config) -> bool:
    """Only parts of the modules may run."""
    by_id = any("::" in path for path in config.paths)
    return bool(by_id or config.keyword or config.markers or selects(config.arguments))


def _over_limit(config: Config, expectations: Outlook) -> list[str]:
    """What to say of modules that take more memory than all together may."""
    limit = config.memory_limit_bytes
    if limit is None:
        return []
    over = sorted(path for path, peak in expectations.peaks_bytes.items() if peak > limit)
    if not over:
        return []
    more = f" and {len(over) - 1} more" if len(over) > 1 else ""
    takes, it = ("take", "each of them") if more else ("takes", "it")
    bound = wording.size(limit)
    return [
        f"{over[0]}{more} usually {takes} more memory than the limit of {bound}: {it} runs alone"
    ]


def _pytest_arguments(config: Config, found: Discovery) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What plain pytest would be called with: options (and what is written among them), paths."""
    options = list(config.arguments)
    if config.keyword:
        options += ["-k", config.keyword]
    if config.markers:
        options += ["-m", config.markers]
    # What pytest would find by itself is not given: it also knows then that it was not.
    by_itself = {"paths": config.paths, "pytest testpaths": (), "directory": ()}
    return tuple(options), by_itself.get(found.origin, found.roots)


def _search_path(config: Config) -> list[str]:
    return [config.invocation_dir, *sys.path] if config.cwd_on_path else list(sys.path)


def _with_frameworks(
    config: Config,
    found: Discovery,
    pytest_config: PytestConfig,
    tree: Tree,
    pytest_installed: bool,
) -> tuple[TestModule, ...]:
    """The modules with the framework that each is run by."""
    chosen = choose_framework(
        config.framework,
        pytest_installed=pytest_installed,
        pytest_configured=pytest_config.configured,
        has_conftest=bool(found.conftests),
        outlines=read_outlines(tree, found.modules),
    )
    modules = []
    for module in found.modules:
        framework = settings_for(config, module.path).framework
        if framework is None and not pytest_installed:
            source = tree.read(os.path.join(tree.root, module.path))
            framework = framework_without_pytest(outline(source))
        framework = framework or chosen
        modules.append(msgspec.structs.replace(module, framework=framework))
    return tuple(modules)


def _with_group(module: TestModule, tree: Tree, settings: ModuleSettings) -> TestModule:
    """The module with its group, if an override or its own mark puts it into one.

    Those of a group that can't share a process do not overlap either.
    """
    group = settings.group
    if group is None and module.kind is ModuleKind.FILE and module.path.endswith(".py"):
        group = group_mark(tree.read(os.path.join(tree.root, module.path)))
    if not group:
        return module
    claims = (*module.claims, Claim(f"group:{group}"))
    return msgspec.structs.replace(module, group=group, claims=claims)


def _only_last_failed(
    config: Config, modules: Sequence[TestModule]
) -> tuple[tuple[TestModule, ...], str]:
    """The modules that failed when they last ran, narrowed to the tests that did."""
    record = last_failed.load(config.root)
    wanted = tuple(
        msgspec.structs.replace(module, selectors=_selectable(record[module.path]))
        for module in modules
        if module.path in record
    )
    if wanted:
        return wanted, ""
    return tuple(modules), "no failures are on record here: all tests run"


def _narrowed_by_id(config: Config, module: TestModule) -> TestModule:
    """The module narrowed to the tests that were asked for; pytest minds node ids by itself."""
    if module.framework is Framework.PYTEST:
        return module
    addresses = [
        address._replace(path=path_in(config.invocation_dir, address.path))
        for address in map(split_node_id, config.paths)
    ]
    names = names_asked_for(path_in(config.root, module.path), addresses)
    asked = tuple(f"{module.path}::{name}" for name in names)
    failed = [
        test
        for test in module.selectors
        if any(test == each or test.startswith(f"{each}::") for each in asked)
    ]
    return msgspec.structs.replace(module, selectors=tuple(failed) or asked or module.selectors)


def _selectable(tests: tuple[str, ...]) -> tuple[str, ...]:
    """Test ids to select by; none where something failed that is no test (a collection)."""
    return tests if all("::" in test for test in tests) else ()


class _ActionMaker:
    """Makes the action of an attempt."""

    def __init__(
        self,
        config: Config,
        arguments: tuple[str, ...],
        tree: Tree,
        known: tuple[str, ...],
        *,
        color: bool,
    ) -> None:
        self._config = config
        self._tree = tree
        self._known = known
        self._color = color
        self._arguments = arguments

    def __call__(self, module: TestModule, start: Start) -> Action:
        config = self._config
        by_pytest = module.framework is Framework.PYTEST
        return Action(
            path=module.path,
            root=config.root,
            invocation_dir=config.invocation_dir,
            framework=module.framework,
            kind=module.kind,
            arguments=self._arguments if by_pytest else (),
            selectors=start.selectors,
            known_paths=self._known if module.kind is ModuleKind.REMAINDER else (),
            keyword=config.keyword,
            import_root="" if by_pytest else import_root(self._tree, module.path),
            cwd_on_path=config.cwd_on_path,
            maxfail=config.maxfail,
            color=self._color,
            trace="" if config.no_cache else TRACE_FILE,
            trace_functions=sys.version_info >= (3, 12),
        )
