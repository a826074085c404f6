"""The command: typer's options → flags for the settings → one run → reporters and an exit code.

``app`` holds the commands and turns errors into messages and exit codes, ``options`` has the
options, made from the table of settings, one file holds each command, and ``conduct`` takes a run
to its end under signals.
"""
