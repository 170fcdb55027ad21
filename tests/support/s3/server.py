"""An S3 server on loopback: moto, with requests that take effect one at a time.

By itself it looks for an object first and writes it later, so that of several conditional creates more than
one may win now and then, which no store may do that Weir is to rely on.
"""

import io
import sys
import threading

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple


class OneAtATime:
    """Reads a request's body beside others, and lets it take effect alone."""

    def __init__(self, application):
        self.application = application
        self.turn = threading.Lock()

    def __call__(self, environ, start_response):
        length = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
        with self.turn:
            return list(self.application(environ, start_response))


if __name__ == "__main__":
    server = OneAtATime(DomainDispatcherApplication(create_backend_app))
    run_simple("127.0.0.1", int(sys.argv[1]), server, threaded=True)
