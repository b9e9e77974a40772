"""A web server and a mail server of this machine, which keep what they are sent."""

import socketserver
import threading
from contextlib import contextmanager
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, HTTPServer


class Web(HTTPServer):
    """Answers with `status`; `received`: (headers, body) of each POST."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Post)
        self.status, self.received, self.location = 204, [], ""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/alarms"


class _Post(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((dict(self.headers), body))
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_args):
        pass


class Mail(socketserver.TCPServer):
    """As much of SMTP as takes a message; `refusing`: says 451 to each. `received`: what was taken."""

    allow_reuse_address = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Smtp)
        self.refusing, self.received = False, []


class _Smtp(socketserver.StreamRequestHandler):
    def handle(self):
        self.say("220 ready")
        while line := self.rfile.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word in (b"EHLO", b"HELO"):
                self.say("250 mail.example")
            elif word == b"RCPT" and self.server.refusing:
                self.say("451 not now")
            elif word == b"DATA":
                self.say("354 go on")
                lines = list(iter(self.rfile.readline, b".\r\n"))
                self.server.received.append(message_from_bytes(b"".join(lines), policy=default))
                self.say("250 taken")
            elif word == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")

    def say(self, words):
        self.wfile.write(words.encode() + b"\r\n")


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
