"""What the scripts beside this one run their functions against, on this machine: an embedded DynamoDB, a double of a search server, moto
for the rest of AWS, and processes that end with the block that needs them. Needs nothing but Python.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.etree import ElementTree

TOP = pathlib.Path(__file__).resolve().parent.parent
LOGS = TOP / "target" / "ci" / pathlib.Path(sys.argv[0]).name
HOST = "127.0.0.1"
TABLE = "PetTracker"
REPLICA = "PetTrackerReplica"
VIEWS = "PetTrackerViews"
LEDGER = "PetTrackerLedger"
REGION = "eu-west-1"
# Who we are to emulators.
KEY = "local"

# What Lambda answers for a function whose process ended.
KILLED = b'{"errorType": "Runtime.ExitError", "errorMessage": "killed"}'

FUNCTIONS = ["replicate", "materialize", "notify", "index", "backfill"]


class Failure(Exception):
    """What a check found wrong."""


def expect(what, found, expected):
    if found != expected:
        raise Failure(f"{what}:\n    expected {expected}\n    found    {found}")


def build():
    """First of all, so that an error of the compiler is seen as one, and no invocation waits for it."""
    subprocess.run(["cargo", "build", "--features", "cli", "--bin", "anabranch"], cwd=TOP, check=True)
    bins = [argument for name in FUNCTIONS for argument in ("--bin", name)]
    subprocess.run(["cargo", "build", *bins], cwd=TOP, check=True)


# -------------------------------------------------------------------------------------------------------------------------- the servers


class Server:
    """Something on a port of this machine."""

    def __init__(self, port):
        self.port = port
        self.url = f"http://{HOST}:{port}"

    def ready(self):
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0

    def ask(self, path, body=None, headers={}):
        with DIRECT.open(urllib.request.Request(self.url + path, body, headers), timeout=60) as response:
            return response.read().decode()


class Database(Server):
    """The embedded DynamoDB, through its HTTP interface."""

    def ready(self):
        try:
            return {TABLE, REPLICA, VIEWS, LEDGER} <= set(self.call("ListTables", {})["TableNames"])
        except OSError:
            return False

    def item(self, table, key):
        return self.call("GetItem", {"TableName": table, "Key": key, "ConsistentRead": True}).get("Item")

    def scan(self, table):
        answer = self.call("Scan", {"TableName": table, "ConsistentRead": True})
        expect(f"what is left of {table} behind the first page", answer.get("LastEvaluatedKey"), None)
        return answer["Items"]

    def call(self, operation, parameters):
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
            "X-Amz-Date": "20260115T083000Z",
            "Authorization": signed_by_nobody("dynamodb"),
        }
        try:
            return json.loads(self.ask("/", json.dumps(parameters).encode(), headers))
        except urllib.error.HTTPError as error:
            raise Failure(f"{operation}: {error.code} {error.read().decode()}") from error


class Search(Server):
    """The double of a search server."""

    def document(self, index, key):
        try:
            return json.loads(self.ask(f"/{index}/_doc/{urllib.parse.quote(key, safe='')}"))["_source"]
        except urllib.error.HTTPError as error:
            expect(f"the status of {key} in {index}", error.code, 404)
            return None


class Moto(Server):
    """The rest of AWS."""

    def ready(self):
        try:
            return bool(self.ask("/moto-api/"))
        except OSError:
            return False

    def reset(self):
        """Begins anew."""
        self.interpret(False)
        self.ask("/moto-api/reset", b"")

    def interpret(self, whether):
        """It is another part of moto that runs state machines, and what they invoke, than the one that keeps them."""
        config = {"stepfunctions": {"execute_state_machine": whether}, "lambda": {"use_docker": not whether}}
        self.ask("/moto-api/config", json.dumps(config).encode())

    def query(self, service, action, wanted, **parameters):
        """The texts of the elements of that name in the answer."""
        body = urllib.parse.urlencode({"Action": action, **parameters}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": signed_by_nobody(service)}
        try:
            answer = ElementTree.fromstring(self.ask("/", body, headers))
        except urllib.error.HTTPError as error:
            raise Failure(f"{action}: {error.code} {error.read().decode()}") from error
        return [element.text for element in answer.iter() if element.tag.rpartition("}")[2] == wanted]

    def states(self, action, **parameters):
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"AWSStepFunctions.{action}",
            "Authorization": signed_by_nobody("states"),
        }
        try:
            return json.loads(self.ask("/", json.dumps(parameters).encode(), headers))
        except urllib.error.HTTPError as error:
            raise Failure(f"{action}: {error.code} {error.read().decode()}") from error


class Topic:
    """An SNS topic of moto's, and a queue that has subscribed to it."""

    def __init__(self, moto):
        self.moto = moto
        self.arn = self.queue = None
        self.texts = []

    def create(self):
        self.listen(self.moto.query("sns", "CreateTopic", "TopicArn", Name="news")[0])

    def listen(self, arn):
        self.arn = arn
        fifo = {"Attribute.2.Name": "FifoQueue", "Attribute.2.Value": "true"} if arn.endswith(".fifo") else {}
        # What was received is not received again.
        hidden = {"Attribute.1.Name": "VisibilityTimeout", "Attribute.1.Value": "43200"}
        name = arn.rpartition(":")[2]
        self.queue = self.moto.query("sqs", "CreateQueue", "QueueUrl", QueueName=name, **hidden, **fifo)[0]
        self.moto.query("sns", "Subscribe", "SubscriptionArn", TopicArn=arn, Protocol="sqs", Endpoint=arn.replace(":sns:", ":sqs:"))

    def received(self):
        """What came out of the topic so far: user, event type and text of each message."""
        while bodies := self.moto.query("sqs", "ReceiveMessage", "Body", QueueUrl=self.queue, MaxNumberOfMessages="10"):
            self.texts.extend(told(json.loads(body)) for body in bodies)
        return self.texts


def told(message):
    attributes = message["MessageAttributes"]
    return " ".join([attributes["userId"]["Value"], attributes["eventType"]["Value"], message["Message"]])


class Machine(Server):
    """The backfill's state machine in moto's interpreter. On this port is what it invokes: a function, and one failure."""

    def __init__(self, moto):
        super().__init__(free_port())
        self.moto = moto

    def begin(self, invoke):
        """`invoke` is from a question to an answer, and whether that is an error."""
        self.invoke = invoke
        self.asked = Counter()
        # The names of the functions that were asked.
        self.functions = set()

    @contextlib.contextmanager
    def serving(self):
        machine = self

        class Invocations(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                machine.functions.add(self.path.split("/")[3])
                answer, error = machine.answer(json.loads(body))
                self.send_response(200)
                if error:
                    self.send_header("X-Amz-Function-Error", "Unhandled")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        with serving(ThreadingHTTPServer((HOST, self.port), Invocations)):
            yield

    def answer(self, question):
        self.asked[question["action"]] += 1
        if question["action"] == "slice" and self.asked["slice"] == 1:
            return KILLED, True
        return self.invoke(json.dumps(question).encode())

    def create(self, function):
        self.moto.interpret(True)
        definition = (TOP / "handlers" / "backfill.asl.json").read_text(encoding="utf-8").replace("${BackfillFunction}", function)
        role = "arn:aws:iam::123456789012:role/backfill"
        return self.moto.states("CreateStateMachine", name="backfill", definition=definition, roleArn=role)["stateMachineArn"]

    def execute(self, machine, name, question):
        return self.output(self.start(machine, name, question))

    def start(self, machine, name, question):
        return self.moto.states("StartExecution", stateMachineArn=machine, name=name, input=json.dumps(question))["executionArn"]

    def redrive(self, execution):
        self.moto.states("RedriveExecution", executionArn=execution)

    def output(self, execution):
        state = self.ended(execution)
        expect("the status of the execution", (state["status"], state.get("cause")), ("SUCCEEDED", None))
        return json.loads(state["output"])

    def ended(self, execution):
        limit = time.monotonic() + 120
        while (state := self.moto.states("DescribeExecution", executionArn=execution))["status"] == "RUNNING":
            if time.monotonic() > limit:
                raise Failure("the state machine did not come to its end within two minutes")
            time.sleep(0.2)
        return state


# ------------------------------------------------------------------------------------------------------------------------ the processes


def signed_by_nobody(service):
    """An emulator looks for the form only, and for the region."""
    scope = f"{KEY}/20260115/{REGION}/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"


SETTINGS = ("AWS_", "DEAD_LETTER_", "TARGET_", "VIEW_", "LEDGER_", "TOPIC_", "SEARCH_", "SOURCE_", "MOTO_")


def environment(**settings):
    """Ours without anything of AWS in it: no profile, endpoint or queue of the person who runs this."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    nobody = {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": HOST,
        "no_proxy": HOST,
    }
    return {**ours, **nobody, **settings}


def emulator(database, search):
    port = ["--port", str(database.port), "--search", str(search.port)]
    command = ["cargo", "run", "--quiet", "--features", "cli", "--", "emulator", *port]
    return running("emulator", command, environment(), lambda: database.ready() and search.ready())


def moto(server, machine):
    """moto, whose state machines invoke what is on the port of `machine`."""
    python = pathlib.Path(shutil.which("moto_server")).with_name("python")
    command = [python, ".ci/interpreter.py", "-H", HOST, "-p", str(server.port)]
    return running("moto", command, environment(MOTO_PORT=str(machine.port)), server.ready)


@contextlib.contextmanager
def serving(server):
    """Something of this process on a port, as long as the block lives."""
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def running(name, command, env, ready):
    """A process group that lives as long as the block, and is ready in it."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{name}.log"
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(command, cwd=TOP, env=env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        wait_until(ready, process, name)
        yield process
    except BaseException:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-40:]
        print(f"--- {name}, its last lines", *tail, sep="\n", file=sys.stderr)
        raise
    finally:
        end(process)


def wait_until(ready, process, name):
    limit = time.monotonic() + 60
    while not ready():
        if process.poll() is not None:
            raise Failure(f"the {name} ended with status {process.returncode}")
        if time.monotonic() > limit:
            raise Failure(f"the {name} was not ready within a minute")
        time.sleep(0.1)


def end(process):
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


# Whatever proxy the environment names, this is our own machine.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
