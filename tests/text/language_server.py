"""A server on this machine that speaks OpenAI's chat protocol, well or badly."""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread


def completion(text, **message):
    """The body of a chat completion that says `text`."""
    finish = message.pop("finish_reason", "stop")
    message = {"role": "assistant", "content": text} | message
    choice = {"index": 0, "finish_reason": finish, "message": message}
    return json.dumps({"id": "1", "object": "chat.completion", "choices": [choice]})


def described(body):
    """A fine answer to a question about a category."""
    name = json.loads(body["messages"][-1]["content"])["category"]
    text = f"The {name} is round, about as large as a hand, with red and white stripes."
    return completion(json.dumps({"description": text}))


def error(message, status, headers=(), **more):
    """A failure, to be tried again at once unless `headers` say otherwise."""
    return {
        "status": status,
        "headers": {"Retry-After": "0.001"} | dict(headers),
        "body": json.dumps({"error": {"message": message} | more}),
    }


class LanguageServer:
    """Answers with what `reply` gives: a body, or a dict of status, headers, body and more.

    `delay`: seconds before a reply; `drip`: seconds before each of its bytes; `endless`: it is
    repeated until the client goes.

    `reply` is called with the number of the request, from 0, and its JSON.
    """

    def __init__(self):
        self.requests, self.headers, self.times = [], [], []
        self.reply = lambda number, body: described(body)
        self.busy = self.busiest = 0
        self._lock = Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.block_on_close = False
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def in_turn(self, *replies):
        """The n-th request gets the n-th of `replies`, further ones the last."""
        self.reply = lambda number, body: replies[min(number, len(replies) - 1)]

    def take(self, path, headers, body):
        with self._lock:
            number = len(self.requests)
            self.requests.append(body | {"path": path})
            self.headers.append(headers)
            self.times.append(time.monotonic())
            self.busy += 1
            self.busiest = max(self.busy, self.busiest)
        reply = self.reply(number, body)
        reply = reply if isinstance(reply, dict) else {"body": reply}
        time.sleep(reply.get("delay", 0))
        with self._lock:
            self.busy -= 1
        return reply

    def _handler(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                named = {name.lower(): value for name, value in self.headers.items()}
                reply = server.take(self.path, named, body)
                raw = reply["body"]
                raw = raw if isinstance(raw, bytes) else raw.encode()
                try:
                    self.send_response(reply.get("status", 200))
                    for name, value in reply.get("headers", {}).items():
                        self.send_header(name, value)
                    self.send_header("Content-Type", reply.get("type", "application/json"))
                    if "endless" not in reply:
                        self.send_header("Content-Length", str(len(raw)))
                    self.end_headers()
                    for i in range(len(raw)) if "drip" in reply else ():
                        self.wfile.write(raw[i : i + 1])
                        time.sleep(reply["drip"])
                    while "endless" in reply:
                        self.wfile.write(raw)
                    if "drip" not in reply:
                        self.wfile.write(raw)
                except OSError:
                    pass  # the client has gone

            def log_message(self, *_):
                pass

        return Handler
