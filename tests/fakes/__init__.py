"""Stand-ins that behave, and checkers of what must always hold.

``executor`` an executor whose attempts follow a script · ``grammar`` checks an event stream ·
``runs`` plays whole runs of a session · ``simulation`` drives a scheduler and checks every step ·
``strategies`` random graphs and runs.
"""
