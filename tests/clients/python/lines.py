"""The lines that ../README.md describes, shared by the Python clients."""

import argparse
import json
import sys


def hexed(data):
    return None if data is None else bytes(data).hex()


def unhexed(text):
    return None if text is None else bytes.fromhex(text)


def records():
    """The records on standard input: partition, key, value, headers, timestamp."""
    for line in sys.stdin:
        record = json.loads(line)
        headers = [(name, unhexed(value)) for name, value in record["h"]]
        yield record["p"], unhexed(record["k"]), unhexed(record["v"]), headers, record["t"]


def show(value, flush=False):
    sys.stdout.write(json.dumps(value, separators=(",", ":")) + "\n")
    if flush:
        sys.stdout.flush()


def flush():
    """Before a commit: a member that is killed behind it must have said what it read."""
    sys.stdout.flush()


def show_record(partition, offset, key, value, headers, timestamp):
    shown = [[name, hexed(data)] for name, data in headers or ()]
    show({"p": partition, "o": offset, "k": hexed(key), "v": hexed(value), "h": shown, "t": timestamp})


def options(command):
    """Calls the function of `command` that the command line names, with its options."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=list(command))
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--codec", default="none")
    parser.add_argument("--count", type=int)
    parser.add_argument("--group")
    options = parser.parse_args()
    return command[options.what], options
