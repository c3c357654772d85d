"""python receiver.py: takes webhooks on port 8000 (PORT) into ./inbox (INBOX), signed with WEBHOOK_SECRET."""

import os
import re
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from webhooks import is_ours

SECRET, INBOX = os.environ["WEBHOOK_SECRET"], Path(os.environ.get("INBOX", "inbox"))
DONE = INBOX / "done"  # a worker of yours moves a file here when it has done what there is to do
DONE.mkdir(parents=True, exist_ok=True)


class Receiver(BaseHTTPRequestHandler):
    timeout = 10

    def do_POST(self):
        given = [self.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")]
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,7}", length) or int(length) > 1_000_000:
            return self.answer(413)
        body = self.rfile.read(int(length))
        if not re.fullmatch(r"[\w.-]{1,200}", given[0], re.ASCII) or not is_ours(SECRET, *given, body):
            return self.answer(401)
        # The same id is the same event: it has the same file, and one that is done stays done.
        if not (DONE / given[0]).exists():
            with tempfile.NamedTemporaryFile(dir=INBOX, prefix=".", delete=False) as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(INBOX / given[0])
        self.answer(204)  # kept: answer, and work afterwards

    def answer(self, status):
        self.send_response(status)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # of five, the default, the sixth webhook that comes at once waits a second


if __name__ == "__main__":
    Server(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Receiver).serve_forever()
