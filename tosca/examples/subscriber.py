#!/usr/bin/env python3
"""A subscriber of the counter: asks for the next number again and again, and notes what it was told and when.

    subscriber.py poll --table FILE | --at HOST:PORT [--every S] NOTES      until it is ended
    subscriber.py report NOTES                                              what it saw

FILE is what the driver's router `table:FOLDER` writes: it is read before every question, so that the subscriber goes
where it is sent. An answer is an acknowledgement: the number must never come again, and none after it may be lower.
"""

import argparse
import http.client
import itertools
import json
import signal
import sys
import time

PATIENCE_S = 0.25  # for one answer: whoever does not answer in that time is asked again


class Notes:
    """One JSON line for each question: when it was asked and when it was over, by the same clock, and the answer."""

    def __init__(self, path):
        self.file = open(path, "a", buffering=1, encoding="utf-8")  # noqa: SIM115 - until we are ended

    def write(self, asked, answered, where, number):
        line = {"asked": asked, "answered": answered, "where": where, "number": number}
        self.file.write(json.dumps(line) + "\n")


def where_now(options):
    """host:port, or None while nobody says."""
    if options.at:
        return options.at
    try:
        with open(options.table, encoding="utf-8") as file:
            return json.load(file)["endpoint"]
    except (OSError, ValueError, KeyError):
        return None


def ask(where):
    """The next number, or None."""
    host, _, port = where.partition(":")
    connection = http.client.HTTPConnection(host, int(port or 80), timeout=PATIENCE_S)
    try:
        connection.request("GET", "/next")
        answer = connection.getresponse()
        return int(answer.read()) if answer.status == 200 else None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def poll(options):
    notes = Notes(options.notes)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    while True:
        asked = time.monotonic()
        where = where_now(options)
        number = ask(where) if where else None
        notes.write(asked, time.monotonic(), where, number)
        time.sleep(max(0.0, asked + options.every - time.monotonic()))


def report(options):
    """Prints what was seen; the status is 1 when a number came twice or went back, or when nothing was seen."""
    with open(options.notes, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file if line.endswith("\n")]
    told = [line for line in lines if line["number"] is not None]
    if len(told) < 2:
        print("the subscriber saw nothing")
        return 1
    pairs = list(itertools.pairwise(told))
    before, after = max(pairs, key=lambda pair: pair[1]["answered"] - pair[0]["answered"])
    gap_ms = (after["answered"] - before["answered"]) * 1000
    numbers = [line["number"] for line in told]
    twice = len(numbers) - len(set(numbers))
    back = sum(1 for one, two in pairs if two["number"] <= one["number"])
    skipped = numbers[-1] - numbers[0] + 1 - len(set(numbers))
    print(f"answers             {len(told)} of {len(lines)} questions, numbers {numbers[0]} to {numbers[-1]}")
    print(f"longest gap         {gap_ms:.0f} ms, between {before['number']} and {after['number']}")
    if before["where"] != after["where"]:
        print(f"  before and after  {before['where']} and {after['where']}")
    print(f"came twice          {twice}")
    print(f"went back           {back}")
    print(f"counted, not told   {skipped} (the answer was cut off: it was acknowledged to nobody, and is not lost)")
    return 1 if twice or back else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    polls = commands.add_parser("poll")
    where = polls.add_mutually_exclusive_group(required=True)
    where.add_argument("--table", metavar="FILE")
    where.add_argument("--at", metavar="HOST:PORT")
    polls.add_argument("--every", type=float, default=0.01, metavar="S")
    polls.add_argument("notes", metavar="NOTES")
    commands.add_parser("report").add_argument("notes", metavar="NOTES")
    options = parser.parse_args()
    return {"poll": poll, "report": report}[options.command](options)


if __name__ == "__main__":
    sys.exit(main())
