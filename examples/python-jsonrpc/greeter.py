"""A greeter in plain Python: JSON-RPC over HTTP, which is how services are called whose record names no protocol."""

import http.server
import json
import sys

METHODS = {
    "Say.Hello": lambda request: {"msg": "Hello " + request["name"]},
    "Debug.Health": lambda request: {"status": "ok"},
}


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # Connections stay open; without this line each call makes a new one.
    wbufsize = -1  # Head and body leave in one packet.

    def do_POST(self):
        call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {"id": call["id"], "result": None, "error": None}
        try:
            answer["result"] = METHODS[call["method"]](call["params"][0])
        except Exception as problem:
            answer["error"] = repr(problem)
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json-rpc")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Service)
    print("listening on 127.0.0.1:%d" % server.server_port, flush=True)
    server.serve_forever()
