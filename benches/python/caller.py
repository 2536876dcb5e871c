"""What a Python program does in the rows that set it beside Rust and C: caller.py PLAN, a JSON object. Prints what it did
as another one."""

import json
import resource
import sys
import time
from typing import Any, Callable

import thalweg

VALUE_BYTE = b"\x5a"


def written() -> int:
    with open("/proc/self/io") as account:
        return next(int(line.split()[1]) for line in account if line.startswith("write_bytes"))


def appender(topic: thalweg.Topic, value: bytes, batch: int, calls: int) -> Callable[[], None]:
    """Appends so many calls of records; what is under way is not waited for."""
    values = [value] * batch

    def one() -> None:
        submit = topic.submit
        for _ in range(calls):
            submit(value, partition=0)

    def several() -> None:
        submit = topic.submit_batch
        for _ in range(calls):
            submit(values, partition=0)

    return one if batch == 1 else several


def run(
    append: Callable[[], None], topic: thalweg.Topic, value: bytes, plan: dict[str, Any], records: int | None,
    seconds: float | None,
) -> tuple[int, list[float]]:
    """Appends run by run; how many records, and the seconds of each run, from when it was due."""
    start, done, times = time.perf_counter(), 0, []
    while (done < records) if records is not None else (time.perf_counter() - start < seconds):
        begun = time.perf_counter()
        if plan["rate"]:
            begun = start + done / plan["rate"]
            time.sleep(max(0.0, begun - time.perf_counter()))
        append()
        times.append(time.perf_counter() - begun)
        done += plan["run"]
    # It waits for itself, and so for all before it.
    topic.append(value, partition=0)
    return done + 1, times


def main() -> None:
    plan = json.loads(sys.argv[1])
    value = VALUE_BYTE * plan["record_size"]
    durability = thalweg.Durability[plan["durability"].upper()]
    runtime = thalweg.Runtime[plan["runtime"].upper()]
    with thalweg.open(plan["dir"], memory_budget=plan["memory_budget"], runtime=runtime, shards=1) as db:
        topic = db.create_topic("bench", durability=durability)
        append = appender(topic, value, plan["batch"], plan["run"] // plan["batch"])
        warm, _ = run(append, topic, value, plan | {"rate": None}, plan["run"], None)
        start, cpu, device = time.perf_counter(), time.process_time(), written()
        records, times = run(append, topic, value, plan, plan["records"], plan["seconds"])
        found = {
            "seconds": time.perf_counter() - start,
            "cpu": time.process_time() - cpu,
            "written": written() - device,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "records": records,
            "all": warm + records,
            "runs": times,
        }
    print(json.dumps(found))


main()
