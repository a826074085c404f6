"""Action → stream of messages, in a process that can be trusted to end.

``ports`` is what the orchestration sees. ``executor`` holds what all attempts of a run share;
``subprocess`` starts a fresh interpreter an attempt, ``forkserver`` forks a warm one. ``attempt``
reads an attempt's stream and stands beside it to its end, ``supervise`` ends processes and learns
how they ended, ``output`` keeps the head and tail of what they print, and ``guard`` is a tiny
process of its own that tidies up should the orchestrator be killed.
"""
