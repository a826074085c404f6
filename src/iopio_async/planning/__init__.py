"""Facts → decisions, without I/O and without a clock.

``selection`` turns a file listing into test modules, ``overrides`` lays settings over them,
``estimate`` says how long they will take and so in which order they start, ``preload`` what warm
processes do ahead for them, ``chunks`` how a long one could be split. ``locks`` says which of them
may overlap, and ``scheduler`` is the state machine that decides what runs next.
"""
