"""`anabranch dev` at work: from a write to the table through the template's mappings and the functions into the replica and the views."""

import time
from collections import Counter

from cases import Materialize, comparable, contributions
from local import LOGS, REGION, REPLICA, TABLE, Failure, environment, expect, running


def drive_from_the_table(world):
    """Lets `anabranch dev` run the template's mappings, with the functions that `cargo lambda` hosts."""
    print("dev")
    checkpoints, log = LOGS / "checkpoints.json", LOGS / "dev.log"
    checkpoints.unlink(missing_ok=True)
    command = ["cargo", "run", "--quiet", "--features", "cli", "--", "dev", "--template", "template.yaml", "--json"]
    command += ["--endpoint", world.database.url, "--checkpoints", str(checkpoints), "--failures", str(LOGS / "failures")]
    for name in ("replicate", "materialize"):
        command += ["--function", f"{name}={world.lambdas.url}"]
    written = [activity(n) for n in range(20)]
    with running("dev", command, environment(AWS_REGION=REGION), lambda: log.read_text(encoding="utf-8").count("shard_started") == 2):
        for item in written:
            world.database.call("PutItem", {"TableName": TABLE, "Item": item})
        gone, changed = written.pop(0), written[-1]
        world.database.call("DeleteItem", {"TableName": TABLE, "Key": key_of(gone)})
        changed["minutes"] = {"N": "100"}
        world.database.call("PutItem", {"TableName": TABLE, "Item": changed})
        eventually(lambda: check(world, gone, written))
    print(f"  {len(written) + 1} items written, one of them again, one deleted: all in the replica and in the views")


def check(world, gone, written):
    # All that the table has, not only what was written just now: the mappings began at the oldest record.
    for item in world.database.scan(TABLE):
        found = comparable(world.database.item(REPLICA, key_of(item)))
        expect(f"{key_of(item)} in the replica", found and {name: found[name] for name in item if name in found}, comparable(item))
    expect("what was deleted, in the replica", world.database.item(REPLICA, key_of(gone)), None)
    rows = {}
    for item in written:
        for row, numbers in contributions(item).items():
            rows.setdefault(row, Counter()).update({name: number for name, number in numbers.items() if name != "lastActivity"})
    stored = Materialize(world).stored()
    for row, numbers in rows.items():
        found = stored.get(row, {})
        expect(f"the view's row {row}", {name: found.get(name) for name in numbers}, dict(numbers))


def eventually(holds):
    """Until it holds; what was wrong last, if it does not come to hold."""
    limit = time.monotonic() + 30
    while True:
        try:
            return holds()
        except Failure:
            if time.monotonic() > limit:
                raise
        time.sleep(0.2)


def key_of(item):
    return {name: item[name] for name in ("PK", "SK")}


def activity(n):
    """Activities of two pets."""
    day, pet = f"2026-02-0{1 + n % 3}T08:{n:02}:00Z", f"PET#dev{n % 2}"
    texts = {"PK": pet, "SK": f"ACTIVITY#{day}", "entityType": "ACTIVITY", "activityType": "walk", "timestamp": day}
    return {**{name: {"S": text} for name, text in texts.items()}, "minutes": {"N": str(n + 1)}}
