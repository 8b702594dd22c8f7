"""A network of its own with a name server that knows `pod.dns.test` and an agent on 127.0.0.1:9464, and `podmeter top` that looks for it by
name. Prints which names the server was asked for, and the host that the agent was.

usage: names.py NAME COMMAND-THAT-RUNS-PODMETER-IN-THE-IMAGE...
"""

import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer


def serve_names(server, asked):
    while True:
        query, client = server.recvfrom(512)
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        name, kind = ".".join(labels), int.from_bytes(query[at + 1 : at + 3])
        asked.add(name)
        is_known = name == "pod.dns.test" and kind == 1
        # The same question again; then, for an IPv4 address, a pointer to the name in it and 127.0.0.1 for a minute.
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1" if is_known else b""
        head = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_known else b"\0\0") + b"\0\0\0\0"
        server.sendto(head + query[12 : at + 5] + answer, client)


class Agent(BaseHTTPRequestHandler):
    """Says no, and keeps the host that it was asked for."""

    reached = set()

    def do_GET(self):
        self.reached.add(self.headers["Host"])
        self.send_error(404)

    def log_message(self, *_):
        """Standard error belongs to podmeter."""


subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
asked = set()
threading.Thread(target=serve_names, args=(server, asked), daemon=True).start()
agent = HTTPServer(("127.0.0.1", 9464), Agent)
threading.Thread(target=agent.serve_forever, daemon=True).start()
program = subprocess.Popen([*sys.argv[2:], "/podmeter", "top", "--url", f"http://{sys.argv[1]}:9464"], stdout=subprocess.DEVNULL)
program.wait(timeout=30)
print("asked:", *sorted(asked))
print("reached:", *sorted(Agent.reached))
