"""A receiver of OpenTelemetry's protocol on loopback, which keeps what it gets."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """Spans by name, and metrics by name; ``url`` is what the variable for the endpoint takes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.spans: dict[str, Any] = {}
        self.metrics: dict[str, Any] = {}
        self.resource: dict[str, Any] = {}

    def take(self, path: str, body: bytes) -> None:
        """Read a request."""
        if path == "/v1/traces":
            from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

            traces = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
            for resource in traces.resource_spans:
                self.resource = attributes(resource.resource)
                for scope in resource.scope_spans:
                    self.spans |= {span.name: span for span in scope.spans}
        elif path == "/v1/metrics":
            from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

            metrics = metrics_service_pb2.ExportMetricsServiceRequest.FromString(body)
            for resource in metrics.resource_metrics:
                for scope in resource.scope_metrics:
                    self.metrics |= {metric.name: metric for metric in scope.metrics}

    def counts(self, name: str) -> dict[tuple[str, str], int]:
        """A counter's values by outcome and source."""
        found = {}
        for point in self.metrics[name].sum.data_points:
            about = attributes(point)
            found[about["iopio.outcome"], about["iopio.source"]] = point.as_int
        return found


def attributes(of: Any) -> dict[str, Any]:
    """The attributes of a span, a point or a resource."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in of.attributes}


@contextmanager
def receiving(*, silent: bool = False) -> Iterator[Receiver]:
    """A receiver; a ``silent`` one takes requests and never answers, until the end."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if silent:
                over.wait()
            else:
                receiver.take(self.path, body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

        def handle(self) -> None:
            # Who has given up on an answer has gone.
            try:
                super().handle()
            except ConnectionError:
                self.close_connection = True

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield receiver
        finally:
            over.set()
            server.shutdown()
            thread.join()
