"""What is remembered from one run to the next, beside the cache.

``journal`` is the append-only record of each run's events (``journals`` reads it), ``last_failed``
the tests that ``--lf`` runs again, and ``durations`` what each module usually takes (``samples``
and ``timings`` are its rows and its per-test files, ``sealed`` guards them against damage).
``series`` has durations run after run, by the kind of ``machine``, and ``regressions`` judges them.
All of it is optional to a run: where it can't be written, the run says so once and goes on.
"""
