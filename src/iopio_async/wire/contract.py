"""What orchestrator and worker agree on beside the stream."""

import signal

#: On this signal a worker writes the stacks of all its threads: nobody's tests use it.
STACKS_SIGNAL = signal.SIGRTMAX - 1 if hasattr(signal, "SIGRTMAX") else signal.SIGUSR2

#: The file in the attempt's private directory that the stacks are written to.
STACKS_FILE = "stacks"
