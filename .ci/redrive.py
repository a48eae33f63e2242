"""A backfill that fails for good in each of its parts, and is redriven each time: what is done is not done again, the rest goes on where
it stood.
"""

import json
import threading
from collections import Counter

from local import KILLED, Failure, expect

BRING, SWEEP = "backfill", "backfill sweep"
THRESHOLD = "States.ExceedToleratedFailureThreshold"


def redrive(machine, arn, invoke, wish):
    """Answers with the counts of an execution by two workers, and how many slices it came in."""
    rounds = []

    def begin(trouble):
        rounds.append(Round(invoke, trouble))
        machine.begin(rounds[-1].answer)
        return rounds[-1]

    def fails(round, error):
        state = machine.ended(execution)
        round.over.set()
        expect("the status of the execution, and its error", (state["status"], state.get("error")), ("FAILED", error))

    # The answer to the first try is lost, and so are those to the others, as many as there may be.
    bringing = begin(Lost(BRING, invoke))
    execution = machine.start(arn, "redriven", {"wish": wish})
    fails(bringing, THRESHOLD)
    bringing.verify({"plan": 1}, tries=1 + 8)

    # Refused by the function, which is not tried again.
    sweeping = begin(Mismatch(SWEEP, invoke))
    machine.redrive(execution)
    fails(sweeping, THRESHOLD)
    sweeping.verify({"plan": 1}, tries=1)
    goes_on(bringing, sweeping, BRING, wish["segments"])

    reporting = begin(Unreported())
    machine.redrive(execution)
    fails(reporting, "Runtime.ExitError")
    reporting.verify({"report": 1 + 5})
    expect("the slices of what was brought before", reporting.of(BRING), {})
    goes_on(sweeping, reporting, SWEEP, wish["segments"])

    last = begin(None)
    machine.redrive(execution)
    output = machine.output(execution)
    expect("what is asked when nothing but the report is left", last.asked, {"report": 1})
    jobs = {call.cursor["job"] for round in rounds for call in round.calls}
    expect("the jobs of all slices", jobs, {"redriven"})
    return output["report"]["counts"], sum(round.asked["slice"] for round in rounds)


def goes_on(before, after, handler, segments):
    """Every segment that was not done does so, and no other."""
    former, latter = before.of(handler), after.of(handler)
    done = {segment for segment, calls in former.items() if calls[-1].is_done}
    expect(f"the segments of {handler} that are asked after a redrive", set(latter), set(range(segments)) - done)
    if not done or len(former) < len(done) + 2:
        raise Failure(f"of {segments} segments {len(former)} were begun, and {len(done)} done: too few to tell anything")
    for segment, calls in latter.items():
        begun = calls[0].cursor
        if segment in former:
            expect(f"where segment {segment} of {handler} goes on", begun, former[segment][-1].cursor)
        else:
            expect(f"what was read of segment {segment} of {handler}, which had not begun", begun["counts"]["portions"], 0)


class Round:
    """From the beginning, or a redrive, to the next failure: what the state machine asks, and the trouble that it meets."""

    def __init__(self, invoke, trouble):
        self.invoke, self.trouble = invoke, trouble
        self.asked, self.calls = Counter(), []
        # The segment that fails.
        self.victim = None
        self.lock, self.stopped, self.over = threading.Lock(), threading.Event(), threading.Event()

    def answer(self, question):
        asked = json.loads(question)
        self.asked[asked["action"]] += 1
        if asked["action"] == "slice":
            return self.slice(Call(asked), question)
        if self.trouble and self.trouble.meets(asked):
            return self.trouble.answer(asked)
        return self.invoke(question)

    def slice(self, call, question):
        with self.lock:
            self.calls.append(call)
            if self.victim is None and self.trouble and self.trouble.meets(call.question) and self.is_amid(call):
                self.victim = call.segment
        if self.is_of_victim(call):
            # Another slice is in progress when this one fails.
            answer = self.trouble.answer(call.question)
            self.stopped.wait(timeout=60)
            return answer
        answer = self.invoke(question)
        with self.lock:
            call.is_stopped = self.victim is not None and self.trouble.meets(call.question)
            call.is_done = not call.is_stopped and json.loads(answer[0]).get("state") == "done"
        if call.is_stopped:
            self.stopped.set()
            self.over.wait()
        return answer

    def is_amid(self, call):
        """Whether its segment has gone on in another slice, and another segment is done."""
        others = (calls[-1] for calls in self.of(self.trouble.handler).values())
        return call.cursor["counts"]["portions"] > 0 and any(other.is_done for other in others)

    def is_of_victim(self, call):
        return self.victim is not None and self.trouble.meets(call.question) and call.segment == self.victim

    def of(self, handler):
        """The calls of each segment."""
        calls = {}
        for call in self.calls:
            if call.cursor["handler"] == handler:
                calls.setdefault(call.segment, []).append(call)
        return calls

    def verify(self, asked, tries=None):
        expect("what was asked besides slices", {it: count for it, count in self.asked.items() if it != "slice"}, asked)
        if tries:
            expect("whether another slice was in progress when one failed", self.stopped.is_set(), True)
            calls = self.of(self.trouble.handler)[self.victim]
            expect("the tries of the slice that failed", sum(it.cursor == calls[-1].cursor for it in calls), tries)


class Call:
    """A slice that was asked for."""

    def __init__(self, question):
        self.question, self.cursor = question, question["cursor"]
        self.segment = self.cursor["place"]["segment"]
        self.is_done = self.is_stopped = False


# --------------------------------------------------------------------------------------------------------------------------- the troubles


class Lost:
    """The function is killed each time, the first time when its work is done."""

    def __init__(self, handler, invoke):
        self.handler, self.invoke, self.is_done = handler, invoke, False

    def meets(self, question):
        return question["action"] == "slice" and question["cursor"]["handler"] == self.handler

    def answer(self, question):
        if not self.is_done:
            self.is_done = True
            self.invoke(json.dumps(question).encode())
        return KILLED, True


class Mismatch(Lost):
    """A function of another generation was deployed."""

    def answer(self, question):
        cursor = question["cursor"]
        other = question | {"cursor": cursor | {"generation": cursor["generation"] + 1}}
        answer, error = self.invoke(json.dumps(other).encode())
        expect("the error of a cursor of another generation", json.loads(answer).get("errorType"), "anabranch::Mismatch")
        return answer, error


class Unreported:
    """The function is killed whenever it reports."""

    def meets(self, question):
        return question["action"] == "report"

    def answer(self, _):
        return KILLED, True
