"""The fork server: a process that has everything loaded, and forks a child for each attempt.

It is single-threaded and waits in one ``poll`` for requests and for the ends of its children, so it
uses no signal handlers. :meth:`Server.born` is called at the point up to which everything may be
shared; in the server it never returns, in each child it returns that child's action and recorder,
and the code that called it goes on as if nothing had happened.
"""

import gc
import os
import select
import socket
import sys
import time
from pathlib import Path

from iopio_async.model.action import Action
from iopio_async.wire.codec import decode_action
from iopio_async.wire.control import (
    MAX_CONTROL_BYTES,
    Branch,
    Control,
    Ended,
    Fork,
    Forked,
    Ready,
    Stale,
    Unprepared,
    decode_control,
    encode_control,
)
from iopio_async.worker import pristine, surroundings, warmth
from iopio_async.worker.freshness import Freshness
from iopio_async.worker.recorder import Recorder
from iopio_async.worker.tracing import tracer

# Bound before anything that is loaded can patch them.
_exit = os._exit
_fork = os.fork


class Server:
    """Talks to the orchestrator over ``control``, a datagram socket."""

    def __init__(self, control: int, lifeline: int, template: Action) -> None:
        self._control = socket.socket(fileno=control)
        self._control.setblocking(True)
        self._lifeline = lifeline
        self._template = template
        self._streams = pristine.StandardStreams.current()
        self._before = warmth.descriptors()
        self._doubts: list[str] = []
        #: Since when what is loaded is loaded: what was changed later may not be what is loaded.
        self._since_ns = time.time_ns()
        self._freshness: Freshness
        self.is_child = False
        #: In a child: what it tells the orchestrator with.
        self.recorder: Recorder | None = None

    def born(self, early: str = "") -> tuple[Action, Recorder]:
        """Say that all is ready, and serve. Returns in a child only.

        ``early`` is why this point comes before the one that was asked for.
        """
        self._before |= {self._control.fileno(): warmth.target(self._control.fileno())}
        doubts = [*self._doubts, *warmth.doubts(self._template, self._before)]
        sys.stdout.flush()
        sys.stderr.flush()
        self._freshness = Freshness(self._template.root, self._since_ns)
        # Without this, a child's first collection would touch, and so copy, every page.
        gc.collect()
        gc.freeze()
        self._say(Ready(os.getpid(), tuple(doubts), early))
        return self._serve()

    def unprepared(self, exit_code: int) -> None:
        """Say that the framework never came to the point where children are forked."""
        self._say(Unprepared(exit_code))

    def _say(self, message: Control) -> None:
        self._control.send(encode_control(message))

    def _serve(self) -> tuple[Action, Recorder]:
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        control = self._control.fileno()
        children: dict[int, tuple[int, int]] = {}
        while True:
            for descriptor, _ in poll.poll():
                if descriptor != control:
                    poll.unregister(descriptor)
                    self._bury(descriptor, *children.pop(descriptor))
                    continue
                data, received, _, _ = socket.recv_fds(self._control, MAX_CONTROL_BYTES, 3)
                if not data:
                    # The orchestrator is done, or gone.
                    _exit(0)
                request = decode_control(data)
                assert isinstance(request, Fork | Branch)
                if changed := self._freshness.changed():
                    for own in received:
                        os.close(own)
                    self._say(Stale(request.number, changed))
                    continue
                tracer.part()
                pid = _fork()
                if pid == 0:
                    for other in children:
                        os.close(other)
                    if isinstance(request, Branch):
                        return self._branch(request, received[0])
                    return self._begin(request, received)
                tracer.go_on()
                for own in received:
                    os.close(own)
                pidfd = os.pidfd_open(pid)
                children[pidfd] = (request.number, pid)
                poll.register(pidfd, select.POLLIN)

    def _bury(self, pidfd: int, number: int, pid: int) -> None:
        os.close(pidfd)
        _, status, usage = os.wait4(pid, 0)
        cpu_s = usage.ru_utime + usage.ru_stime
        self._say(Ended(number, status, cpu_s, usage.ru_maxrss * 1024))

    def _branch(self, request: Branch, control: int) -> tuple[Action, Recorder]:
        """Become a server of one's own that has more loaded."""
        self._control.close()
        self._control = socket.socket(fileno=surroundings.make_private(control))
        os.setsid()
        self._since_ns = time.time_ns()
        self._say(Forked(0, os.getpid()))
        surroundings.hold_lifeline(self._lifeline)
        tracer.branch()
        # What the server kept open was no doubt; the branch's own trace is none either.
        self._before = warmth.descriptors()
        self._doubts = warmth.import_ahead(request.steps)
        return self.born()

    def _begin(self, request: Fork, received: list[int]) -> tuple[Action, Recorder]:
        """What a child does first."""
        self.is_child = True
        os.setsid()
        self._say(Forked(request.number, os.getpid()))
        self._control.close()
        result, stdout, stderr = received
        self._streams.replace(stdout, stderr)
        surroundings.hold_lifeline(self._lifeline)
        action = decode_action(Path(request.action_file).read_bytes())
        pristine.restore(request.environment)
        recorder = self.recorder = Recorder(surroundings.make_private(result), action.limits)
        surroundings.keep_stacks(action)
        tracer.follow(action)
        return action, recorder
