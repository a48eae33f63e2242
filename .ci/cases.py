"""The samples of events/ that each function of handlers/ is played, what it answers, and what then is in the replica, the views, the topic
and the indexes.
"""

import json
import re
import time
from collections import Counter
from decimal import Decimal

from local import TOP, expect

# The table of the samples' stream.
SAMPLED = "PetTracker"


def event_of(sample, table=SAMPLED):
    """A sample of a table, as if it had just happened: what comes late would be looked up there."""
    event = late_event_of(sample, table)
    for record in event["Records"]:
        record["dynamodb"]["ApproximateCreationDateTime"] = float(int(time.time()))
    return event


def late_event_of(sample, table=SAMPLED):
    text = (TOP / "events" / f"{sample}.json").read_text(encoding="utf-8")
    return json.loads(text.replace(f":table/{SAMPLED}/", f":table/{table}/"))


def expected_answer(event, unfinished):
    failures = [] if unfinished is None else [{"itemIdentifier": event["Records"][unfinished]["dynamodb"]["SequenceNumber"]}]
    state = {"state": event["state"]} if "state" in event else {}
    return {"batchItemFailures": failures, **state}


def settled_items(event, unsettled):
    """The last image (None if removed) of every item that no unsettled record can have touched, by its key."""
    open_keys = [record["dynamodb"]["Keys"] for record in unsettled]
    settled = [record["dynamodb"] for record in event["Records"] if record["dynamodb"]["Keys"] not in open_keys]
    return {json.dumps(change["Keys"]): change.get("NewImage") for change in settled}


class Function:
    """A function. Of its cases each has the position of the record that it cannot finish, if there is one."""

    name = None
    cases = []
    # The entities that it does something with, if not with all.
    entities = None

    def __init__(self, world):
        self.world = world
        # The items as they are by now, of those that were handled to the end.
        self.items = {}

    def concerns(self, change):
        """Whether it does something with a change, of which there is an image."""
        image = change.get("NewImage") or change["OldImage"]
        return self.entities is None or image["entityType"]["S"] in self.entities

    def of(self, entity):
        return [item for item in self.items.values() if item and item["entityType"]["S"] == entity]


class Replicate(Function):
    name = "replicate"
    cases = [
        ("empty-batch", None),
        ("insert-new-and-old-images", None),
        ("modify-new-and-old-images", None),
        ("remove-new-and-old-images", None),
        ("ttl-delete", None),
        ("single-table-batch", None),
        ("single-table-batch", None),  # Lambda delivers at least once.
        ("poison-wrong-type", None),  # No `Pet`, but a replica copies attributes as they are.
        ("poison-broken-base64", 2),
        ("tumbling-final", None),
    ]

    def verify(self, sample, settled, _):
        for key, item in settled.items():
            expected = comparable(item)
            found = comparable(self.world.database.item(self.world.replica, json.loads(key)))
            # A replica may add attributes.
            found = found and {name: value for name, value in found.items() if name in (expected or found)}
            expect(f"{key} in the replica after {sample}", found, expected)


class Materialize(Function):
    name = "materialize"
    entities = ("ACTIVITY", "PET")
    cases = [
        ("empty-batch", None),
        ("insert-new-and-old-images", None),
        ("modify-new-and-old-images", None),
        ("remove-new-and-old-images", None),
        ("single-table-batch", None),
        ("single-table-batch", None),
        ("activities-of-two-days", None),
        ("activities-of-two-days", None),
        ("tumbling-final", None),
        ("poison-wrong-type", 2),
    ]

    def verify(self, sample, settled, unsettled):
        self.items.update(settled)
        # What the rows of unsettled items say depends on how far the function got.
        changes = [record["dynamodb"] for record in unsettled]
        images = [change[image] for change in changes for image in ("NewImage", "OldImage") if image in change]
        open_rows = {row for image in images for row in contributions(image)}
        expected = {row: numbers for row, numbers in self.recomputed().items() if row not in open_rows}
        found = {row: numbers for row, numbers in self.stored().items() if row not in open_rows}
        expect(f"the views after {sample}", found, expected)

    def recomputed(self):
        """The views, from the items alone."""
        rows = {}
        # In the order of the activities' times.
        for _, item in sorted((key, item) for key, item in self.items.items() if item):
            for row, numbers in contributions(item).items():
                sums = rows.setdefault(row, Counter())
                last = numbers.pop("lastActivity", None)
                sums.update(numbers)
                if last:
                    sums["lastActivity"] = last
        return {row: dict(numbers) for row, numbers in rows.items()}

    def stored(self):
        rows = {}
        for row in self.world.database.scan(self.world.views):
            # The ledger's rows have no count of items, and rows of nothing a count of none.
            if row.get("anabranchItems", {"N": "0"}) == {"N": "0"}:
                continue
            # A view may spread a row over several, and its reader sums them.
            key = (row["PK"]["S"], re.sub(r"#shard-\d+$", "", row["SK"]["S"]))
            sums = rows.setdefault(key, Counter())
            sums.update({name: int(row[name]["N"]) for name in ("activities", "minutes", "pets") if name in row})
            if "lastActivity" in row:
                sums["lastActivity"] = row["lastActivity"]["S"]
        return {row: dict(numbers) for row, numbers in rows.items()}


def contributions(item):
    """What an item has in the views, by row."""
    match item["entityType"]["S"]:
        case "ACTIVITY":
            pet, minutes, day = item["PK"]["S"], int(item["minutes"]["N"]), item["timestamp"]["S"][:10]
            numbers = {"activities": 1, "minutes": minutes}
            last = {"lastActivity": item["activityType"]["S"]}
            return {("LEADERBOARD", pet): numbers, (pet, f"SUMMARY#{day}"): {**numbers, **last}}
        case "PET":
            return {("SPECIES", item["species"]["S"]): {"pets": 1}}
        case _:
            return {}


class Notify(Function):
    name = "notify"
    entities = ("PET",)
    cases = [
        ("empty-batch", None),
        ("insert-new-and-old-images", None),
        ("news-of-three-pets", None),
        ("news-of-three-pets", None),
        ("insert-new-and-old-images", None),
        ("ttl-delete", None),
        ("tumbling-final", None),
        ("poison-wrong-type", 2),
    ]
    # What is told after a sample, besides what was told before; a redelivery adds nothing.
    news = {
        "insert-new-and-old-images": ["1042 WELCOME Welcome, Biscuit!"],
        "news-of-three-pets": [
            "5001 WELCOME Welcome, Uno!",
            "5001 WEIGHT Uno went from 4.5 kg to 7.1 kg.",
            "5001 WELCOME Welcome, Due!",
            "5001 FAREWELL Farewell, Due.",
            "5002 WELCOME Welcome, Tre!",
        ],
        # Those in front of the poison.
        "poison-wrong-type": ["3001 WELCOME Welcome, Ada!", "3001 WELCOME Welcome, Bo!"],
    }
    # What is told if the poison is out of the way.
    behind = {"poison-wrong-type": ["3001 FAREWELL Farewell, Bo."]}

    def __init__(self, world):
        super().__init__(world)
        self.told = {}

    def verify(self, sample, settled, unsettled):
        self.told[sample] = self.news.get(sample, []) + (self.behind.get(sample, []) if len(unsettled) <= 1 else [])
        expected = sorted(text for texts in self.told.values() for text in texts)
        expect(f"what was told after {sample}", sorted(self.world.topic.received()), expected)


class Index(Function):
    name = "index"
    entities = ("ACTIVITY", "PET")
    cases = [
        ("empty-batch", None),
        ("insert-new-and-old-images", None),
        ("modify-new-and-old-images", None),
        ("remove-new-and-old-images", None),
        ("single-table-batch", None),
        ("documents-come-and-go", None),
        ("documents-come-and-go", None),
        ("tumbling-final", None),
        ("poison-wrong-type", 2),  # The mapping wants a number.
    ]

    def verify(self, sample, settled, _):
        for key, item in settled.items():
            keys = json.loads(key)
            index = {"PET": "pets", "ACTIVITY": "activities"}.get(keys["SK"]["S"].split("#")[0])
            if index:
                found = self.world.search.document(index, ",".join(f"S={keys[name]['S']}" for name in ("PK", "SK")))
                # A deleted item leaves a document without attributes, which says so.
                if found and "anabranchRemovedAt" in found:
                    found = None
                found = found and {name: value for name, value in found.items() if name != "anabranchVersion"}
                expect(f"{key} in {index} after {sample}", found, item and {name: plain(value) for name, value in item.items()})


def plain(value):
    """An attribute as a document has it."""
    (tag, content), = value.items()
    match tag:
        case "N":
            number = int(content) if re.fullmatch(r"-?\d{1,18}", content) else float(content)
            return number if Decimal(repr(number)) == Decimal(content) else content
        case "NS":
            return [plain({"N": number}) for number in content]
        case "L":
            return [plain(element) for element in content]
        case "M":
            return {name: plain(element) for name, element in content.items()}
        case "NULL":
            return None
        case _:
            return content



# -------------------------------------------------------------------------------------------------------------------------- comparing


def comparable(item):
    """An item in a form in which equal items are equal: sets without order, numbers by value."""
    return item and {name: comparable_value(value) for name, value in item.items()}


def comparable_value(value):
    (tag, content), = value.items()
    match tag:
        case "N":
            return tag, Decimal(content)
        case "NS":
            return tag, sorted(Decimal(number) for number in content)
        case "SS" | "BS":
            return tag, sorted(content)
        case "L":
            return tag, [comparable_value(element) for element in content]
        case "M":
            return tag, comparable(content)
        case _:
            return tag, content


# ------------------------------------------------------------------------------------------------------------------------ the backfill


def put_the_past(world, count):
    """Rows of which no function has heard."""
    rows = [past(n) for n in range(count)]
    for row in rows:
        world.database.call("PutItem", {"TableName": world.table, "Item": row})
    return rows


def past(n):
    texts = {"PK": f"USER#past{n}", "SK": f"PET#past{n}", "entityType": "PET", "name": f"Pet {n}", "species": "newt"}
    return {name: {"S": text} for name, text in texts.items()}


def verify_the_past(world, rows, output):
    expect("the rows that were handed to the handlers", output["report"]["counts"]["records"], len(rows))
    expect("the rows that had an effect", output["report"]["counts"]["applied"], len(rows))
    for row in rows:
        key = {name: row[name] for name in ("PK", "SK")}
        found = comparable(world.database.item(world.replica, key))
        expect(f"{key} in the replica", found and {name: found[name] for name in row if name in found}, comparable(row))
        document = world.search.document("pets", ",".join(f"S={key[name]['S']}" for name in ("PK", "SK")))
        expect(f"{key} in the index", document and document["name"], row["name"]["S"])


FUNCTIONS = [Replicate, Materialize, Notify, Index]
