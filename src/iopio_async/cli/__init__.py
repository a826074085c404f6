"""The command: words → flags for the settings → one run → reporters and an exit code.

``main`` is the way in and turns errors into messages and exit codes. ``quick`` reads plain command
lines; ``app`` is typer's view of everything else, with ``options`` made from the table of settings
and one file a command. ``conduct`` takes a run to its end under signals.
"""
