"""What frameworks and plugins claim by name alone: fixtures, marks, base classes, settings."""

import re

from iopio_async.model.module import Mode

#: Calls after which the working directory is somewhere else.
MOVING = frozenset({"os.chdir", "os.fchdir", ".chdir", "contextlib.chdir", ".isolated_filesystem"})
#: Fixtures of plugins that do the same, and those by which no real file is touched.
MOVING_FIXTURES = frozenset({"pytester", "testdir", "isolated_filesystem", "cli_runner_isolated"})
FAKE_FIXTURES = frozenset({"fs", "fs_module", "fs_class", "fs_session"})

_DJANGO = "django-database"
#: Fixtures of plugins that claim something; all others claim nothing.
PLUGIN_FIXTURES: dict[str, str] = dict.fromkeys(
    (
        *("db", "transactional_db", "django_db_setup", "django_db_reset_sequences"),
        *("django_db_serialized_rollback", "admin_client", "admin_user", "live_server"),
        *("async_admin_client", "django_user"),
    ),
    _DJANGO,
)
#: The same for those of services: resources with their modes.
SERVICE_FIXTURES: dict[str, tuple[tuple[str, Mode], ...]] = {
    "docker_services": (("docker", Mode.SHARED), ("compose", Mode.EXCLUSIVE)),
    "docker_compose": (("docker", Mode.SHARED), ("compose", Mode.EXCLUSIVE)),
}
#: Marks that claim something.
MARKS: dict[str, str] = {"django_db": _DJANGO}
#: Base classes of tests that claim something.
BASES: dict[str, str] = {
    f"{package}.{name}": _DJANGO
    for package in ("django.test", "django.test.testcases", "rest_framework.test")
    for name in (
        *("TestCase", "TransactionTestCase", "LiveServerTestCase", "APITestCase"),
        *("APITransactionTestCase", "APILiveServerTestCase"),
    )
} | {
    "django.contrib.staticfiles.testing.StaticLiveServerTestCase": _DJANGO,
    "django.contrib.gis.test.TestCase": _DJANGO,
}
#: Settings that are assigned, by key, and hold a database's url.
URL_KEYS = frozenset({"SQLALCHEMY_DATABASE_URI", "SQLALCHEMY_DATABASE_URL"})
#: Fixtures that a user overrides to give a plugin's server its address: name → the server's.
ADDRESS_FIXTURES: dict[str, str] = {"httpserver_listen_address": "httpserver"}
#: Packages with which a literal device name is a GPU.
DEVICE_PACKAGES = frozenset({"torch", "pytorch_lightning", "lightning", "transformers", "cupy"})
DEVICE = re.compile(r"cuda(:\d+)?")
