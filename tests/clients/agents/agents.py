"""Coding agents against a running gateway: what somebody who lets one work through it sees.

Reads GATEWAY (its URL), CONTROL (the simulated provider's control URL), GATEWAY_LOG (the gateway's log, JSON lines),
SCRATCH (a folder for homes and working directories), ONLY (a word that the promises' names must hold, or nothing) and
CLAUDE, CODEX and OPENCODE (the agents' programs). Prints one line a promise, then the counts.

An agent is believed only so far: that its tool's result came back is read from what the provider received last.
"""

import json
import os
import subprocess
import sys
import tempfile
import traceback
import urllib.request
from concurrent.futures import ThreadPoolExecutor

GATEWAY = os.environ["GATEWAY"]
CONTROL = os.environ["CONTROL"]
LOG = os.environ["GATEWAY_LOG"]
SCRATCH = os.environ["SCRATCH"]
ONLY = os.environ["ONLY"]

# The simulated provider calls a tool because of the word, and says these words once it has the result.
PROMPT = "Use the tool, please."
SAID = "This is tidegate's simulated provider."
# An agent that begins in an unhurried minute on a busy machine; a wait comes on top.
PATIENCE_S = 120
# How long a request waits in the gateway for what was spent before it: 80 s after the spending began, less what the
# agent takes until it asks.
WAIT_MS = range(38_000, 85_000)
# Whatever does not go to this machine meets a closed port at once, instead of a time limit.
OFFLINE = {
    **{name: "http://127.0.0.1:9" for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")},
    **{name: "127.0.0.1,localhost" for name in ("NO_PROXY", "no_proxy")},
}


def control():
    with urllib.request.urlopen(CONTROL, timeout=10) as answer:
        return json.load(answer)["stats"]


def run(command, files, **variables):
    """Runs an agent in a home and a folder of its own; gives the lines of JSON that it prints."""
    home = tempfile.mkdtemp(prefix="agent.", dir=SCRATCH)
    work = os.path.join(home, "work")
    os.mkdir(work)
    for name, text in files.items():
        path = os.path.join(home, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": home, **OFFLINE, **variables}
    limit = PATIENCE_S + WAIT_MS.stop // 1000
    with open(os.path.join(home, "stderr"), "w") as stderr:
        done = subprocess.run(
            command, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, timeout=limit
        )
    with open(os.path.join(home, "stderr")) as stderr:
        errors = stderr.read()
    output = done.stdout.decode()
    assert done.returncode == 0, f"ended with {done.returncode}: {output[-2000:]} {errors[-2000:]}"
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def claude(model):
    """Claude Code, which may read files and nothing else."""
    command = [os.environ["CLAUDE"], "-p", PROMPT, "--model", model, "--tools", "Read", "--allowedTools", "Read"]
    events = run(
        [*command, "--output-format", "stream-json", "--verbose"],
        {},
        ANTHROPIC_BASE_URL=GATEWAY,
        ANTHROPIC_AUTH_TOKEN="sk-client",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        DISABLE_AUTOUPDATER="1",
        DISABLE_TELEMETRY="1",
        DISABLE_ERROR_REPORTING="1",
    )
    end = events[-1]
    assert end["type"] == "result" and not end["is_error"], end
    blocks = [block for event in events if event["type"] == "assistant" for block in event["message"]["content"]]
    called = [block["name"] for block in blocks if block["type"] == "tool_use"]
    return called, end["result"]


def codex(model):
    """Codex, whose commands may read and nothing else."""
    config = f"""
model_provider = "gateway"
check_for_update_on_startup = false
[analytics]
enabled = false
[model_providers.gateway]
name = "gateway"
base_url = "{GATEWAY}/v1"
env_key = "GATEWAY_KEY"
wire_api = "responses"
"""
    command = [os.environ["CODEX"], "exec", "--model", model, "--skip-git-repo-check", "--sandbox", "read-only"]
    events = run([*command, "--json", PROMPT], {".codex/config.toml": config}, GATEWAY_KEY="sk-client")
    wrong = [event for event in events if event["type"] in ("error", "turn.failed")]
    assert not wrong, wrong
    assert events[-1]["type"] == "turn.completed", events[-1]
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    texts = [item["text"] for item in items if item["type"] == "agent_message"]
    return [item["type"] for item in items if item["type"] == "command_execution"], texts[-1] if texts else ""


def opencode(package):
    def agent(model):
        """opencode, which may read files and nothing else; the title is given, or it would ask for one besides."""
        provider = {
            "npm": package,
            "name": "gateway",
            "options": {"baseURL": GATEWAY + "/v1", "apiKey": "sk-client"},
            "models": {model: {"limit": {"context": 200_000, "output": 8_000}}},
        }
        config = {
            "autoupdate": False,
            "share": "disabled",
            "enabled_providers": ["gateway"],
            "provider": {"gateway": provider},
            "permission": {"*": "deny", "read": "allow"},
        }
        command = [os.environ["OPENCODE"], "run", "--format", "json", "--title", "a title", "--model", "gateway/" + model]
        events = run(
            [*command, PROMPT],
            {"work/opencode.json": json.dumps(config)},
            OPENCODE_DISABLE_AUTOUPDATE="1",
            OPENCODE_DISABLE_MODELS_FETCH="1",
            OPENCODE_DISABLE_LSP_DOWNLOAD="1",
            OPENCODE_DISABLE_DEFAULT_PLUGINS="1",
        )
        wrong = [event for event in events if event["type"] == "error"]
        assert not wrong, wrong
        called = [event["part"]["tool"] for event in events if event["type"] == "tool_use"]
        texts = [event["part"]["text"] for event in events if event["type"] == "text"]
        return called, texts[-1] if texts else ""

    return agent


def result_in_messages(body):
    last = body["messages"][-1]
    assert last["role"] == "user", last
    results = [block for block in last["content"] if block["type"] == "tool_result"]
    calls = [block["id"] for message in body["messages"][:-1] for block in blocks(message) if block["type"] == "tool_use"]
    assert results and results[0]["tool_use_id"] in calls, body["messages"]


def blocks(message):
    return message["content"] if isinstance(message["content"], list) else []


def result_in_chat(body):
    last = body["messages"][-1]
    calls = [call["id"] for message in body["messages"] for call in message.get("tool_calls") or []]
    assert last["role"] == "tool" and last["tool_call_id"] in calls, body["messages"]


def result_in_responses(body):
    last = body["input"][-1]
    calls = [item["call_id"] for item in body["input"] if item.get("type", "").endswith("_call")]
    assert last["type"].endswith("_call_output") and last["call_id"] in calls, body["input"]


def result_in_gemini(body):
    last = body["contents"][-1]
    calls = [part for content in body["contents"] for part in content["parts"] if "functionCall" in part]
    assert calls and any("functionResponse" in part for part in last["parts"]), body["contents"]


# What the provider's requests look like in each dialect: the end of the path, and where a tool's result stands.
RECEIVED = {
    "messages": ("/messages", result_in_messages),
    "chat": ("/chat/completions", result_in_chat),
    "responses": ("/responses", result_in_responses),
    "gemini": (":streamGenerateContent", result_in_gemini),
}

COMPATIBLE, ANTHROPIC, OPENAI = (f"@ai-sdk/{name}" for name in ("openai-compatible", "anthropic", "openai"))
# Who, by which of its ways, asks for which model, and what the provider of that speaks.
TOOLS = [
    ("claude code", claude, "via-messages", "messages"),
    ("claude code", claude, "via-chat", "chat"),
    ("claude code", claude, "via-responses", "responses"),
    ("claude code", claude, "via-gemini", "gemini"),
    ("codex", codex, "via-responses", "responses"),
    ("codex", codex, "via-messages", "messages"),
    ("codex", codex, "via-chat", "chat"),
    ("codex", codex, "via-gemini", "gemini"),
    ("codex", codex, "gpt-5.5", "messages"),
    ("codex", codex, "gpt-6-astra", "responses"),
    ("codex", codex, "gpt-6-sol", "messages"),
    ("codex", codex, "gpt-6.1-sol", "chat"),
    ("opencode with chat", opencode(COMPATIBLE), "via-chat", "chat"),
    ("opencode with chat", opencode(COMPATIBLE), "via-messages", "messages"),
    ("opencode with messages", opencode(ANTHROPIC), "via-messages", "messages"),
    ("opencode with messages", opencode(ANTHROPIC), "via-chat", "chat"),
    ("opencode with responses", opencode(OPENAI), "via-responses", "responses"),
    ("opencode with responses", opencode(OPENAI), "via-messages", "messages"),
]
WAITS = [
    ("claude code", claude, "wait-claude-messages"),
    ("claude code", claude, "wait-claude-chat"),
    ("codex", codex, "wait-codex-responses"),
    ("codex", codex, "wait-codex-messages"),
    ("opencode with chat", opencode(COMPATIBLE), "wait-opencode-chat"),
    ("opencode with chat", opencode(COMPATIBLE), "wait-opencode-messages"),
]


def tool(agent, model, dialect):
    before = control()
    called, said = agent(model)
    after = control()
    assert SAID in said, said
    # Codex does not tell of every tool that it ran; what the provider received does.
    assert called[:1] in ([["Read"], ["read"]] if agent is not codex else [[], ["command_execution"]]), called
    assert after["failed"] == before["failed"], "the provider refused a request"
    assert after["received"] - before["received"] >= 2, "the result of the tool was never sent"
    last = after["last_request"]
    path, check = RECEIVED[dialect]
    assert last["path"].endswith(path), last["path"]
    assert last["body"], "the last request is too long to be shown"
    check(json.loads(last["body"]))


def spend(model):
    """Asks for 40,000 tokens of the model's provider, as the simulated one counts them: 40 s of what it allows."""
    dialect = model.rsplit("-", 1)[1]
    talk = [{"role": "user", "content": "tide " * 32_000}]
    path = RECEIVED[dialect][0]
    body = {"model": model, "input": talk} if dialect == "responses" else {"model": model, "messages": talk}
    body["max_output_tokens" if dialect == "responses" else "max_tokens"] = 16
    headers = {"content-type": "application/json", "authorization": "Bearer sk-client"}
    request = urllib.request.Request(GATEWAY + "/v1" + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        answer.read()


def wait(agent, model):
    spend(model)
    # The second has to wait for what the first has spent, and the agent for both; it has 40 s to begin, which is why
    # the wait cannot be shorter than the 40 s after these, however busy the machine is.
    with ThreadPoolExecutor(1) as beside:
        second = beside.submit(spend, model)
        _, said = agent(model)
        second.result()
    assert SAID in said, said
    waited = [exchange["queue_ms"] for exchange in exchanges() if exchange["provider"] == model]
    # The first spends at once and the second waits in its turn; those behind are the agent's.
    assert max(waited[2:], default=0) in WAIT_MS, f"waited {waited} ms"


def exchanges():
    """What the gateway's log tells of each exchange."""
    with open(LOG) as lines:
        records = [json.loads(line) for line in lines if line.startswith("{")]
    return [record.get("fields", record) for record in records if "queue_ms" in record.get("fields", record)]


def kept(name, check, *arguments):
    try:
        check(*arguments)
        print(f"ok      {name}", flush=True)
        return True
    except Exception as error:  # noqa: BLE001: whatever it is, it is a broken promise, and the rest is tried
        print(f"BROKEN  {name}: {type(error).__name__}: {error}", flush=True)
        traceback.print_exc()
        return False


def main():
    promises = []
    for who, agent, model, dialect in TOOLS:
        name = f"{who}, asking for {model} of a provider that speaks {dialect}: a tool's result comes back"
        promises.append((name, tool, agent, model, dialect))
    waits = [(f"{who}, {model}: a wait of 40 s is no error", wait, agent, model) for who, agent, model in WAITS]
    kept_all = [kept(*promise) for promise in promises if ONLY in promise[0]]
    # Each has a budget of its own, and nearly all of it is waiting.
    with ThreadPoolExecutor(len(waits)) as pool:
        kept_all += pool.map(lambda promise: kept(*promise), [each for each in waits if ONLY in each[0]])
    print(f"counts {sum(kept_all)} {len(kept_all) - sum(kept_all)}", flush=True)
    sys.exit(not all(kept_all))


main()
