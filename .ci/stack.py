"""A template that `.ci/transform` printed, as a stack of moto's: created, made complete where moto's CloudFormation leaves something out,
and compared with the template property by property. Needs boto3, which moto brings along.
"""

import ast
import io
import json
import re
import zipfile

import boto3
from local import REGION, Failure, expect

ACCOUNT = "123456789012"
NO_VALUE = object()
PSEUDO = {"AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::Partition": "aws", "AWS::NoValue": NO_VALUE}

# What moto does not keep of a resource, and why it does not matter here. What it keeps after all must go from this list.
NOT_KEPT = {
    ("AWS::DynamoDB::Table", "SSESpecification"): "moto's CloudFormation hands it on under a name that its tables do not read, for good",
    ("AWS::Lambda::Function", "Architectures"): "moto's CloudFormation does not hand it on; what runs is built for this machine",
    ("AWS::Lambda::Function", "LoggingConfig"): "moto has no such setting",
    ("AWS::Lambda::Function", "Code"): "moto answers with an address of its own; the binaries that run are those of this working tree",
    ("AWS::Lambda::Function", "Tags"): "SAM's own mark",
    ("AWS::StepFunctions::StateMachine", "Tags"): "SAM's own mark",
    ("AWS::StepFunctions::StateMachine", "DefinitionSubstitutions"): "moto keeps the definition as it is written; what is run is filled in",
}


class Stack:
    """A stack, and what it is made of."""

    def __init__(self, moto, template, **parameters):
        self.name = "pets"
        self.moto = moto
        self.template = template
        self.parameters = {name: it["Default"] for name, it in template["Parameters"].items()} | parameters
        self.given = parameters
        self.physical, self.attributes = {}, {}
        present = template["Resources"].items()
        self.resources = {name: it for name, it in present if "Condition" not in it or self.condition(it["Condition"])}

    def client(self, service):
        return boto3.client(service, region_name=REGION, endpoint_url=self.moto.url)

    def create(self):
        self.put_package()
        cloudformation = self.client("cloudformation")
        parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in self.given.items()]
        text = json.dumps(self.template)
        cloudformation.create_stack(StackName=self.name, TemplateBody=text, Parameters=parameters, Capabilities=["CAPABILITY_IAM"])
        state = cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        expect("the state of the stack", state["StackStatus"], "CREATE_COMPLETE")
        for resource in cloudformation.list_stack_resources(StackName=self.name)["StackResourceSummaries"]:
            # One that moto does not know has neither, and is to be made below.
            if resource.get("PhysicalResourceId"):
                self.physical[resource["LogicalResourceId"]] = resource["PhysicalResourceId"]
        for name, resource in self.resources.items():
            if resource["Type"] in MADE:
                MADE[resource["Type"]](self, name, self.properties(name))
        return {output["OutputKey"]: output["OutputValue"] for output in state["Outputs"]}

    def put_package(self):
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("bootstrap", "")
        s3 = self.client("s3")
        s3.create_bucket(Bucket="packages", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket="packages", Key="code.zip", Body=package.getvalue())

    # -------------------------------------------------------------------------------------------------------- what the template says

    def properties(self, name):
        return self.resolve(self.resources[name].get("Properties", {}))

    def of_type(self, kind):
        return [name for name, resource in self.resources.items() if resource["Type"] == kind]

    def condition(self, name):
        return self.truth(self.template["Conditions"][name])

    def truth(self, node):
        (function, argument), = node.items()
        match function:
            case "Condition":
                return self.condition(argument)
            case "Fn::Not":
                return not self.truth(argument[0])
            case "Fn::And":
                return all(map(self.truth, argument))
            case "Fn::Or":
                return any(map(self.truth, argument))
            case "Fn::Equals":
                left, right = (str(self.resolve(side)) for side in argument)
                return left == right
        raise Failure(f"a condition with {function}")

    def resolve(self, node):
        """A node of the template with its intrinsic functions carried out."""
        if isinstance(node, list):
            return [value for value in map(self.resolve, node) if value is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (function, argument), = node.items()
            match function:
                case "Ref":
                    return self.reference(argument)
                case "Fn::GetAtt":
                    return self.attribute(*argument)
                case "Fn::If":
                    condition, yes, no = argument
                    return self.resolve(yes if self.condition(condition) else no)
                case "Fn::Join":
                    separator, parts = argument
                    return separator.join(map(str, self.resolve(parts)))
                case "Fn::Sub":
                    return self.substitute(*(argument if isinstance(argument, list) else [argument]))
        resolved = {name: self.resolve(value) for name, value in node.items()}
        return {name: value for name, value in resolved.items() if value is not NO_VALUE}

    def substitute(self, text, values={}):
        def value(found):
            name = found[1]
            if name in values:
                return str(self.resolve(values[name]))
            return str(self.attribute(*name.split(".")) if "." in name else self.reference(name))

        return re.sub(r"\$\{([\w.:]+)\}", value, text)

    def reference(self, name):
        for known in (PSEUDO, {"AWS::StackName": self.name}, self.parameters, self.physical):
            if name in known:
                return known[name]
        raise Failure(f"moto made no {name}")

    def attribute(self, name, attribute):
        """It never changes."""
        if (name, attribute) not in self.attributes:
            self.attributes[name, attribute] = self.found(name)[attribute]
        return self.attributes[name, attribute]

    # ------------------------------------------------------------------------------------------------------------------- what there is

    def found(self, name):
        kind = self.resources[name]["Type"]
        return FOUND[kind](self, self.reference(name))

    def compare(self):
        """Every property of every resource; answers with how many those were."""
        count, unkept = 0, set()
        for name, resource in self.resources.items():
            found = self.found(name)
            for attribute, wanted in self.properties(name).items():
                there = comparable(found.get(attribute)) == comparable(wanted)
                if (resource["Type"], attribute) in NOT_KEPT:
                    if not there:
                        unkept.add((resource["Type"], attribute))
                elif not there:
                    raise Failure(f"{attribute} of {name}:\n    expected {wanted}\n    found    {found.get(attribute)}")
                count += there
        expect("what moto does not keep", unkept, set(NOT_KEPT))
        return count


def comparable(value):
    """CloudFormation takes texts for numbers and for truth."""
    match value:
        case dict():
            return {name: comparable(it) for name, it in value.items()}
        case list():
            # moto leaves a gap where AWS::NoValue stood.
            return [comparable(it) for it in value if it is not None]
        case bool():
            return str(value).lower()
        case int() | float():
            return str(int(value)) if value == int(value) else str(value)
    return value


# ------------------------------------------------------------------------------------------------- what moto's CloudFormation leaves out


def complete_table(stack, name, properties):
    """moto's CloudFormation hands on neither of the two."""
    dynamodb, table = stack.client("dynamodb"), stack.physical[name]
    if specification := properties.get("TimeToLiveSpecification"):
        dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=specification)
    specification = properties["PointInTimeRecoverySpecification"]
    dynamodb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=specification)


def complete_mapping(stack, name, properties):
    """moto's CloudFormation switches every mapping on."""
    enabled = comparable(properties["Enabled"]) == "true"
    stack.client("lambda").update_event_source_mapping(UUID=stack.physical[name], Enabled=enabled)


def complete_function(stack, name, properties):
    """moto's CloudFormation does not hand on the bound."""
    if bound := properties.get("ReservedConcurrentExecutions"):
        stack.client("lambda").put_function_concurrency(FunctionName=stack.physical[name], ReservedConcurrentExecutions=int(bound))


def make_alarm(stack, name, properties):
    """moto's CloudFormation knows no alarms."""
    stack.physical[name] = f"{stack.name}-{name}"
    stack.client("cloudwatch").put_metric_alarm(AlarmName=stack.physical[name], **properties)


def make_queue_policy(stack, name, properties):
    """moto's CloudFormation knows no policies of queues."""
    stack.physical[name] = " ".join(properties["Queues"])
    for queue in properties["Queues"]:
        attributes = {"Policy": json.dumps(properties["PolicyDocument"])}
        stack.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes=attributes)


def make_subscription(stack, name, properties):
    """moto's CloudFormation knows no subscriptions that stand beside their topic."""
    stack.physical[name] = stack.client("sns").subscribe(**properties)["SubscriptionArn"]


MADE = {
    "AWS::CloudWatch::Alarm": make_alarm,
    "AWS::DynamoDB::Table": complete_table,
    "AWS::Lambda::EventSourceMapping": complete_mapping,
    "AWS::Lambda::Function": complete_function,
    "AWS::SNS::Subscription": make_subscription,
    "AWS::SQS::QueuePolicy": make_queue_policy,
}

# --------------------------------------------------------------------------- resources as a template would have them, with their attributes


def table(stack, name):
    dynamodb = stack.client("dynamodb")
    found = dynamodb.describe_table(TableName=name)["Table"]
    time_to_live = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    recovery = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    stream = found.get("StreamSpecification")
    return found | {
        "Arn": found["TableArn"],
        "StreamArn": found.get("LatestStreamArn"),
        "BillingMode": found["BillingModeSummary"]["BillingMode"],
        "StreamSpecification": stream and {"StreamViewType": stream["StreamViewType"]},
        "TimeToLiveSpecification": {
            "AttributeName": time_to_live.get("AttributeName"),
            "Enabled": time_to_live["TimeToLiveStatus"] == "ENABLED",
        },
        "SSESpecification": {"SSEEnabled": found.get("SSEDescription", {}).get("Status") == "ENABLED"},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": recovery["PointInTimeRecoveryStatus"] == "ENABLED"},
    }


def queue(stack, url):
    attributes = stack.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return attributes | {"Arn": attributes["QueueArn"], "QueueName": attributes["QueueArn"].rpartition(":")[2]}


def queue_policy(stack, urls):
    documents = [json.loads(queue(stack, url)["Policy"]) for url in urls.split()]
    expect("the policies of the queues that share one", documents, documents[:1] * len(documents))
    return {"Queues": urls.split(), "PolicyDocument": documents[0]}


def topic(stack, arn):
    attributes = stack.client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]
    return attributes | {"TopicName": arn.rpartition(":")[2]}


def subscription(stack, arn):
    return stack.client("sns").get_subscription_attributes(SubscriptionArn=arn)["Attributes"]


def role(stack, name):
    iam = stack.client("iam")
    policies = [iam.get_role_policy(RoleName=name, PolicyName=it) for it in iam.list_role_policies(RoleName=name)["PolicyNames"]]
    # moto's CloudFormation keeps the document as Python prints it.
    documents = [{"PolicyName": it["PolicyName"], "PolicyDocument": ast.literal_eval(it["PolicyDocument"])} for it in policies]
    return iam.get_role(RoleName=name)["Role"] | {"Policies": documents, "Arn": f"arn:aws:iam::{ACCOUNT}:role/{name}"}


def log_group(stack, name):
    found, = stack.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return {"LogGroupName": found["logGroupName"], "RetentionInDays": found["retentionInDays"], "Arn": found["logGroupArn"]}


def alarm(stack, name):
    found, = stack.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return found


def dashboard(stack, name):
    return stack.client("cloudwatch").get_dashboard(DashboardName=name)


def function(stack, name):
    client = stack.client("lambda")
    found = client.get_function_configuration(FunctionName=name)
    bound = client.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")
    return found | {"ReservedConcurrentExecutions": bound, "Arn": found["FunctionArn"]}


def mapping(stack, uuid):
    found = stack.client("lambda").get_event_source_mapping(UUID=uuid)
    return found | {"Enabled": found["State"] == "Enabled", "FunctionName": found["FunctionArn"].rpartition(":")[2]}


def state_machine(stack, arn):
    found = stack.client("stepfunctions").describe_state_machine(stateMachineArn=arn)
    return {
        "RoleArn": found["roleArn"],
        "StateMachineName": found["name"],
        "StateMachineType": found["type"],
        "DefinitionString": found["definition"],
    }


FOUND = {
    "AWS::CloudWatch::Alarm": alarm,
    "AWS::CloudWatch::Dashboard": dashboard,
    "AWS::DynamoDB::Table": table,
    "AWS::IAM::Role": role,
    "AWS::Lambda::EventSourceMapping": mapping,
    "AWS::Lambda::Function": function,
    "AWS::Logs::LogGroup": log_group,
    "AWS::SNS::Subscription": subscription,
    "AWS::SNS::Topic": topic,
    "AWS::SQS::Queue": queue,
    "AWS::SQS::QueuePolicy": queue_policy,
    "AWS::StepFunctions::StateMachine": state_machine,
}
