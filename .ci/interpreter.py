"""moto's server, whose interpreter of state machines here does what it lacks: it fails a distributed map of which a child has failed, and
it knows RedriveExecution. What AWS does is from its developer guide, "Restarting state machine executions with redrive" and "Redriving
Map Runs":

- An execution goes on, under its own name, with the same definition, in the state that it did not leave, with that state's input. What
  succeeded is not run again, and retries are counted anew.
- Of a distributed map the children that failed or were stopped go on in the same way, those that never began are begun, and the outputs
  of all are put together.

Failures are not tolerated in part, and maps within maps are not followed. A wait before a retry is a hundredth of what it is on AWS.
Needs moto; takes the arguments of `moto_server`.
"""

import datetime
import sys
import time
import types
from collections import defaultdict

from moto.core.responses import ActionResult
from moto.server import main
from moto.stepfunctions.exceptions import AWSError
from moto.stepfunctions.parser.api import ExecutionFailedEventDetails, ExecutionStatus, HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.program.program import Program
from moto.stepfunctions.parser.asl.component.state.choice.state_choice import StateChoice
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.itemprocessor.distributed_item_processor_worker import (
    DistributedItemProcessorWorker,
)
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField
from moto.stepfunctions.parser.asl.component.state.state_continue_with import ContinueWithEnd
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.backend.execution import Execution
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.responses import StepFunctionResponse

WAITS = 0.01


class Progress:
    """How far an execution, or a child of its maps, has come."""

    def __init__(self):
        # The state that it is in, with its input; none before it has begun. At its end there is an output.
        self.state = self.input = self.output = None
        self.is_ended = False
        # By the state that is a map, and the number of its item.
        self.children = defaultdict(Progress)

    def enter(self, state, given):
        self.state, self.input = state, given

    def end(self, output):
        self.is_ended, self.output = True, output


# By the ARN of the execution.
EXECUTIONS = {}


def of(env):
    return EXECUTIONS[env.states.context_object.context_object_data["Execution"]["Id"]]


class NotRedrivable(AWSError):
    TYPE = "ExecutionNotRedrivable"
    STATUS = 400


def replace(kind, name):
    """The function below stands for that of moto's, which it gets first."""
    former = getattr(kind, name, None)

    def put(function):
        setattr(kind, name, lambda *arguments, **named: function(former, *arguments, **named))
        return function

    return put


# ------------------------------------------------------------------------------------------------------------------- where each one stands


@replace(Execution, "__init__")
def begin(former, execution, *, exec_arn, **named):
    former(execution, exec_arn=exec_arn, **named)
    EXECUTIONS[exec_arn] = Progress()


@replace(ExecutionWorker, "_get_evaluation_environment")
def environment(former, worker):
    env = former(worker)
    env.progress = of(env)
    return env


@replace(Program, "_eval_body")
def run(former, program, env):
    """From the state that it did not leave."""
    progress = env.progress
    if progress.state is None:
        progress.enter(env.next_state_name, env.states.get_input())
    env.next_state_name = progress.state
    env.states.reset(input_value=progress.input)
    former(program, env)


def leave(former, state, env):
    """A state that was stopped, or whose execution was, does not come here."""
    former(state, env)
    if env.is_running():
        env.progress.enter(env.next_state_name, env.states.get_input())
    elif isinstance(state.continue_with, ContinueWithEnd):
        env.progress.end(env.states.get_input())


for kind in (CommonStateField, StateChoice):
    replace(kind, "_set_next")(leave)


@replace(DistributedItemProcessorWorker, "_eval_job")
def run_child(former, worker, env, job):
    child = env.progress = of(env).children[worker._work_name, job.job_index]
    if not child.is_ended:
        former(worker, env, job)
    job.job_output = child.output if child.is_ended else threshold_exceeded(env)


def threshold_exceeded(env):
    kind = StatesErrorNameType.StatesExceedToleratedFailureThreshold
    details = ExecutionFailedEventDetails(error=kind.to_name(), cause="The specified tolerated failure threshold was exceeded")
    event = EventDetails(executionFailedEventDetails=details)
    return FailureEventException(FailureEvent(env, StatesErrorName(typ=kind), HistoryEventType.MapRunFailed, event))


# --------------------------------------------------------------------------------------------------------------------------- the operation


@replace(StepFunctionResponse, "redrive_execution")
def redrive_execution(_, response):
    execution = response.stepfunction_backend.describe_execution(response._get_param("executionArn"))
    if execution.exec_status not in (ExecutionStatus.ABORTED, ExecutionStatus.FAILED, ExecutionStatus.TIMED_OUT):
        raise NotRedrivable(f"it is {execution.exec_status.value}")
    execution.exec_worker = execution.stop_date = execution.error = execution.cause = None
    execution.start()
    return ActionResult({"redriveDate": datetime.datetime.now(tz=datetime.timezone.utc)})


retrier_decl.time = types.SimpleNamespace(sleep=lambda seconds: time.sleep(seconds * WAITS))

if __name__ == "__main__":
    sys.exit(main())
