"""What orchestrator and worker agree on beside the stream."""

import signal

#: On this signal a worker writes the stacks of all its threads: nobody's tests use it.
STACKS_SIGNAL = signal.SIGRTMAX - 1 if hasattr(signal, "SIGRTMAX") else signal.SIGUSR2

#: The file in the attempt's private directory that the stacks are written to.
STACKS_FILE = "stacks"

#: The file in the attempt's private directory that the tracer appends to.
TRACE_FILE = "trace"

#: The folder in the attempt's private directory that holds what coverage measured, if it did.
COVERAGE_DIR = "coverage"

#: In that folder: what was asked for, and the data, perhaps in several files with this beginning.
COVERAGE_NOTE, COVERAGE_DATA = "asked.json", "data"
