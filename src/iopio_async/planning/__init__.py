"""Facts → decisions, without I/O and without a clock.

``selection`` turns a file listing into test modules, ``overrides`` lays settings over them,
``locks`` says which of them may overlap, and ``scheduler`` is the state machine that decides what
runs next.
"""
