"""The tracer: everything that the tests of one module read, told before they read it.

It is installed before the test framework is imported, and stays until the process ends. What it
tells (``wire.observations``) is appended to a file, one record an observation; the result cache
turns it into the inputs of the result.

===================  =========================================================================
part                 what it watches
===================  =========================================================================
``tracer``           puts the parts together; follows forks
``record``           the file: appends each observation once
``segments``         many traces of one process, a test each
``territory``        which paths are told at all, and how a path is spelled
``callers``          on whose behalf a thing happens, by the file of the calling frame
``audit``            the interpreter's audit events → the parts below
``files``            opening, listing, changing files
``stats``            ``os.stat`` and relatives, which raise no audit event
``imports``          search paths and what is looked for along them, finders, distributions
``extensions``       compiled modules and shared libraries
``environment``      ``os.environ``
``network``          connections and name look-ups
``processes``        programs; ``inject`` is what traces Python programs in their turn
``functions``        functions that are begun, by ``sys.monitoring`` (CPython 3.12 and later)
``bytecode``         which compiled files are believed; applies also where nothing is traced
===================  =========================================================================

Three things may become of an observation, other than to be told:

===================================  =========================================================
dropped                              because
===================================  =========================================================
the standard library, the            their identity is part of the action's key
interpreter, its own source tree
the private directory, and the       another one for each attempt
status of the directories above
bytecode in ``__pycache__``          its source is told in its place
what pytest lists in collecting,     narrowed to one module: what may be found on the way to it
the plugins that it enumerates       (conftests, ``__init__``) is asked for by name; plugins are
                                     an input in any case
own standard streams, ``null``,      without content, or as unobservable as the time of day
``random``, ``/proc/self``, the
counters and shape of the machine
variables that the process has set   they hold what the tests made them hold
copies that ``patch.dict`` and       they serve to restore the environment
``monkeypatch`` keep
===================================  =========================================================

What can't be followed (an unknown compiled module, a program that is not Python, a custom finder)
is told as ``OPAQUE`` or ``PROCESS``, what can't be repeated (a connection to another process, other
processes' state) as ``IMPURE``. Unseen remain: ``from posix import stat``, ``os.statvfs``, files
that a compiled module of the harmless ones opens by itself, databases attached by SQL, libraries
that ``cffi`` opens, and ``DirEntry.stat`` of entries that the standard library listed.

None of these modules imports anything that a bare interpreter has not loaded already, since they
are also loaded into the programs that tests start.
"""
