"""What stands between a function and its services: it sends every request on, notes which action on which resource that is to IAM, and
can leave requests without an answer, refuse them, or keep an answer back.
"""

import contextlib
import http.client
import json
import re
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from local import HOST, KEY, REGION, Failure, Server, free_port, serving

# What a transaction needs, by the parts it has.
PARTS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
# What AWS answers to once, and the next hop again.
OF_THE_HOP = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}


class Recorder(Server):
    """A port for the requests of one function. Pairs of an action and a resource are added to `calls`, or to `assumed` where the
    function acts in another role than its own."""

    def __init__(self, services, account, domain, calls, assumed):
        super().__init__(free_port())
        self.services, self.account, self.domain, self.calls, self.assumed = services, account, domain, calls, assumed
        # Of a request: whether its service never answers, or refuses it.
        self.silent = self.refused = lambda request: False
        # Of a request that its service has carried out: whether the function hears of that.
        self.heard = lambda request: True
        self.over = threading.Event()

    @contextlib.contextmanager
    def recording(self):
        recorder = self

        class Requests(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Else a body waits for the other end to have seen its headers.
            disable_nagle_algorithm = True

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                recorder.pass_on(self, Request(self.command, self.path, self.headers, body))

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

            def handle(self):
                # Who was killed says no good-bye.
                with contextlib.suppress(ConnectionResetError):
                    super().handle()

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer((HOST, self.port), Requests)
        server.daemon_threads = True
        with serving(server):
            try:
                yield self
            finally:
                self.over.set()

    def pass_on(self, client, request):
        (self.calls if request.key == KEY else self.assumed).update(self.permissions(request))
        if self.silent(request):
            client.close_connection = True
            self.over.wait()
            return
        if self.refused(request):
            client.send_error(403)
            return
        there = http.client.HTTPConnection(HOST, self.service(request).port, timeout=30)
        there.request(request.method, request.path, request.body, dict(request.headers))
        answer = there.getresponse()
        content = answer.read()
        there.close()
        if not self.heard(request):
            client.close_connection = True
            return
        # Who has gone does not listen.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in OF_THE_HOP:
                    client.send_header(name, value)
            client.send_header("Content-Length", str(len(content)))
            client.end_headers()
            if request.method != "HEAD":
                client.wfile.write(content)

    def service(self, request):
        match request.service:
            case "dynamodb":
                return self.services.database
            case "search":
                return self.services.search
        return self.services.moto

    def permissions(self, request):
        """The pairs of an action and a resource that IAM would look for."""
        match request.service:
            case "dynamodb":
                return {(f"dynamodb:{action}", self.arn(request, f"table/{it}")) for action, it in request.tables()}
            case "sqs":
                queue = request.json()["QueueUrl"].rpartition("/")[2]
                return {("sqs:" + request.operation.removesuffix("Batch"), self.arn(request, queue))}
            case "sns":
                return {("sns:" + request.operation.removesuffix("Batch"), request.form()["TopicArn"])}
            case "sts":
                return {("sts:" + request.operation, request.form()["RoleArn"])}
            case "search":
                return {("es:ESHttp" + request.method.capitalize(), self.domain + request.path.partition("?")[0])}
        raise Failure(f"a request to {request.service}")

    def arn(self, request, resource):
        return f"arn:aws:{request.service}:{request.region}:{self.account}:{resource}"


class Request:
    """A request as a service sees it."""

    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body
        scope = re.search(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request", headers.get("Authorization", ""))
        # What is not signed for one of AWS's services is for the search server.
        self.key, self.region, self.service = scope.groups() if scope else (KEY, REGION, "search")
        self.operation = headers.get("X-Amz-Target", "").rpartition(".")[2] or self.form().get("Action")

    def json(self):
        return json.loads(self.body)

    def form(self):
        return dict(urllib.parse.parse_qsl(self.body.decode(errors="replace")))

    def tables(self):
        """The tables that a request to DynamoDB needs which action on."""
        asked = self.json()
        match self.operation:
            case "TransactWriteItems":
                parts = (next(iter(item.items())) for item in asked["TransactItems"])
                return {(PARTS[kind], part["TableName"]) for kind, part in parts}
            case "TransactGetItems":
                return {("GetItem", item["Get"]["TableName"]) for item in asked["TransactItems"]}
            case "BatchGetItem" | "BatchWriteItem":
                return {(self.operation, table) for table in asked["RequestItems"]}
        index = f"/index/{asked['IndexName']}" if "IndexName" in asked else ""
        return {(self.operation, asked["TableName"] + index)}
