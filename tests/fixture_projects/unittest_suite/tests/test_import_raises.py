"""A module that can't be imported."""

import no_such_module_anywhere  # noqa: F401
