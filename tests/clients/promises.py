"""What the scripts that go through every route share: the routes, the simulated provider's control, and its answers.

Reads GATEWAY (the gateway's URL), ROUTES (its models, named after what their provider speaks: `via-chat`,
`via-responses`, `via-messages`, `via-gemini`) and CONTROL (the simulated provider's control URL). Every promise is
held on every route, so that each client is seen where its bytes go through unread and where they are translated.
"""

import contextlib
import json
import os
import sys
import traceback
import urllib.request

GATEWAY = os.environ["GATEWAY"]
ROUTES = os.environ["ROUTES"].split()
CONTROL = os.environ["CONTROL"]

HERE = os.path.dirname(os.path.abspath(__file__))

# What a client has no business to lose: the gateway's log is searched for it too, and for nothing like it.
CANARY = "sk-canary-of-a-client"
# What the gateway has for every provider.
PROVIDER_KEY = "sk-of-the-gateway"

# The simulated provider repeats the question behind seven words of its own, and has as many words as are asked for.
# Quotes, a backslash and letters of several bytes are what streams are cut in and escapes are lost in.
QUESTION = 'Write 14 words: "the \\sea", 漢字 🌊'
SAID = f"This is tidegate's simulated provider. You said: {QUESTION}"
WORDS = 14
LONG_QUESTION = "Please write 40 words about the sea"
# It calls the first tool, or the first two, with the least that their schema takes; texts are "simulated".
USE_TOOL = "Use the tool, please"
USE_TWO_TOOLS = "Use two tools, please"
SIMULATED = "simulated"
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "Where."}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
WEATHER_INPUT = {"city": SIMULATED, "days": 1}
TIME = {
    "type": "object",
    "properties": {"zone": {"type": "string", "enum": ["UTC", "CET"]}},
    "required": ["zone"],
    "additionalProperties": False,
}
TIME_INPUT = {"zone": "UTC"}
# The smallest picture that there is: one pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

# The provider's model behind each route, which is the one that answers name.
MODELS = {
    "via-chat": "sim",
    "via-responses": "gpt-5-sim",
    "via-messages": "claude-sonnet-4-5-sim",
    "via-gemini": "gemini-2.5-flash-sim",
}
_PATHS = {
    "via-chat": "/v1/chat/completions",
    "via-responses": "/v1/responses",
    "via-messages": "/v1/messages",
    "via-gemini": "/v1beta/models/gemini-2.5-flash-sim:",
}

_promises = []


def promise(check):
    """Held on every route."""
    _promises.append((check, ROUTES))
    return check


def promise_on(*routes):
    """Held on these routes alone."""

    def keep(check):
        _promises.append((check, [via for via in ROUTES if via in routes]))
        return check

    return keep


def control(**change):
    """The simulated provider's state, after a change if there is one."""
    request = urllib.request.Request(CONTROL, json.dumps(change).encode() if change else None)
    if change:
        request.method = "PATCH"
        request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def received():
    """The body of the request that the provider got last."""
    return control()["stats"]["last_request"]["body"]


@contextlib.contextmanager
def faulty(**faults):
    """The provider is wrong in these ways."""
    control(faults=faults)
    try:
        yield
    finally:
        control(faults=dict.fromkeys(faults))


def failing(status):
    """The provider fails the next call with this status, and for so long that nobody waits."""
    return faulty(fail_next={"times": 1, "status": status, "headers": {"retry-after": "86400"}})


# Ways in which a stream breaks off: the connection goes, and the provider says that it failed.
BREAKS = ({"cut_after_chunks": 7}, {"error_event_after_chunks": 7})


def _redacted(key):
    """The hash by which the simulated provider shows a key."""
    value = 0xCBF29CE484222325
    for byte in key.encode():
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return f"#{value >> 32:08x}"


def _misled(via, before):
    """What is wrong with the request that has arrived since: its path, or a key that it carries."""
    stats = control()["stats"]
    if stats["received"] == before:
        return []
    last = stats["last_request"]
    wrong = []
    shown = json.dumps(last)
    if CANARY in shown or _redacted(CANARY) in shown:
        wrong.append(f"{via}: the client's key went to {last['path']}: {last['headers']} {last['query']}")
    if shown.count(_redacted(PROVIDER_KEY)) != 1:
        wrong.append(f"{via}: not exactly one key of the gateway went to {last['path']}: {last['headers']}")
    if not last["path"].startswith(_PATHS[via]) and "mbed" not in last["path"]:
        wrong.append(f"{via}: the provider was asked at {last['path']}")
    return wrong


def main(client):
    """Tries every promise on its routes and prints a line each, then the counts."""
    passed, failed, wrong = 0, 0, []
    for via in ROUTES:
        for check, routes in _promises:
            if via not in routes:
                continue
            name = f"{client}, {via}: {check.__name__.replace('_', ' ')}"
            before = control()["stats"]["received"]
            try:
                check(via)
                passed += 1
                print(f"ok      {name}", flush=True)
            except Exception as error:  # noqa: BLE001: whatever it is, it is a broken promise, and the rest is tried
                failed += 1
                print(f"BROKEN  {name}: {type(error).__name__}: {error}", flush=True)
                # Where in these scripts it was; the frames of the libraries tell nothing.
                for frame in traceback.extract_tb(error.__traceback__):
                    if frame.filename.startswith(HERE):
                        print(f"        {os.path.basename(frame.filename)}:{frame.lineno}: {frame.line}", flush=True)
            wrong += _misled(via, before)
    name = f"{client}: each route leads to its provider, with the gateway's key and never the client's"
    if wrong:
        failed += 1
        print(f"BROKEN  {name}, {len(wrong)} times: " + "\n        ".join(wrong[:5]), flush=True)
    else:
        passed += 1
        print(f"ok      {name}", flush=True)
    print(f"counts {passed} {failed}", flush=True)
    sys.stdout.flush()
    # Some of these libraries leave threads behind that nobody needs to wait for.
    os._exit(failed > 0)
