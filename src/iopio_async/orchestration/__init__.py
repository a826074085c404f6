"""Puts the parts to work: instructions → I/O → stimuli → events.

``session`` is the pump of one run, ``narration`` turns a worker's messages into events,
``judgement`` decides how an attempt ended, ``stream`` carries the events to whoever listens.
``preparation`` makes a plan of a configuration, with ``preloading`` for what warm processes do
ahead; ``assembly`` builds the stack of concrete back ends, and ``embedding`` is the one entry point
that every front end uses.
"""
