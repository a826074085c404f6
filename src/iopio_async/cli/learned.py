"""``iopio graph --learned``: what modules were seen to contend for; ``--accept`` declares it."""

import sys
from collections.abc import Sequence

from iopio_async import state
from iopio_async.history import learned as store
from iopio_async.model.config import Config
from iopio_async.model.module import Mode
from iopio_async.orchestration.claims import ClaimedPlan
from iopio_async.planning.claims import ALONE, GROUP, ModuleClaims
from iopio_async.planning.graph import graph_of
from iopio_async.planning.learned import WAS_SEEN, claims_of_learned, is_contested
from iopio_async.project.override_file import SharingOverride, add_overrides, file_to_write
from iopio_async.reporting import graph as texts
from iopio_async.reporting import learned as report
from iopio_async.reporting.learned import LearnedUse, LearnedUses, Standing
from iopio_async.reporting.palette import speaks_unicode


def shown(
    config: Config, claimed: ClaimedPlan, paths: Sequence[str], only: str | None, *, form: str
) -> str:
    """What was learned of the modules at ``paths``, or of ``only`` one of them, in a format."""
    uses = _uses(config, claimed, paths, only)
    if form == "tree":
        return report.tree(uses, unicode=speaks_unicode(sys.stdout))
    if form == "json":
        return report.as_json(uses)
    conflicts = {
        name: {each.module: each.learned for each in users} for name, users in uses.items()
    }
    claims = claims_of_learned(conflicts)
    graph = graph_of({path: ModuleClaims(each) for path, each in claims.items()}, {})
    return texts.FORMATS[form](graph)


def accepted(config: Config, claimed: ClaimedPlan, paths: Sequence[str], only: str | None) -> str:
    """Write what was learned of these modules into the configuration; what is to be said of it.

    A declaration takes the place of what the source tells; so that is declared, too.

    Raises:
        ConfigurationError: the configuration file can't be added to.
        UsageError: there is none, or it can't be written.
    """
    modules = dict.fromkeys(
        each.module
        for users in _uses(config, claimed, paths, only).values()
        for each in users
        if each.standing is Standing.LEARNED
    )
    if not modules:
        return "nothing to accept: all that was learned is declared, or told by the source\n"
    file = file_to_write(config.config_file, config.root)
    overrides = [_override(path, claimed.of(path)) for path in modules]
    added = add_overrides(file, overrides, invocation_dir=config.invocation_dir)
    return f"added to {file}:\n\n{added}"


def _uses(
    config: Config, claimed: ClaimedPlan, paths: Sequence[str], only: str | None
) -> LearnedUses:
    """The conflicts among these modules, or which ``only`` one takes part in."""
    found: dict[str, list[LearnedUse]] = {}
    folder = config.cache_dir or state.folder_of(config.root)
    for resource, users in store.load(folder).items():
        there = [
            LearnedUse(module=path, learned=each, standing=_standing(claimed.of(path), resource))
            for path, each in users.items()
            if path in paths
        ]
        if only not in {None, *(each.module for each in there)}:
            continue
        if is_contested(each.learned for each in there) and any(
            each.standing is not Standing.KNOWN for each in there
        ):
            found[resource] = there
    return found


def _standing(own: ModuleClaims, resource: str) -> Standing:
    if own.declared:
        return Standing.DECLARED
    seen = any(
        claim.resource == resource and evidence.why.startswith(WAS_SEEN)
        for claim in own.claims
        for evidence in claim.evidence
    )
    return Standing.LEARNED if seen else Standing.KNOWN


def _override(path: str, own: ModuleClaims) -> SharingOverride:
    held = [
        claim
        for claim in own.machine
        if claim.resource != ALONE and not claim.resource.startswith(GROUP)
    ]
    return SharingOverride(
        path,
        tuple(sorted({each.resource for each in held if each.mode is Mode.EXCLUSIVE})),
        tuple(sorted({each.resource for each in held if each.mode is Mode.SHARED})),
        dict(own.needs),
    )
