"""The official Python SDK of OpenAI against a running gateway: what a program that only changes its base URL sees.

Reads GATEWAY (its URL), MODEL, LIMITED (the same model behind a small token limit, or empty) and CONTROL (the
simulated provider's control URL, empty in front of a real server). Prints one line a promise, then the counts.
"""

import json
import os
import sys
import time
import traceback
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import openai

GATEWAY = os.environ["GATEWAY"]
MODEL = os.environ["MODEL"]
LIMITED = os.environ.get("LIMITED", "")
CONTROL = os.environ.get("CONTROL", "")
SIMULATED = bool(CONTROL)

# Without retries of its own, so that every failure of the gateway shows.
client = openai.OpenAI(base_url=GATEWAY + "/v1", api_key="sk-client", max_retries=0, timeout=60)
HELLO = [{"role": "user", "content": "hello"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
# Any text will do for the gateway; llama.cpp's server refuses whatever is no UUID.
CHOSEN_ID = "chosen-by-the-client" if SIMULATED else "6f1ed002-ab5f-4f0b-9c8e-2d1c6f6d3b11"
FORCED = {"type": "function", "function": {"name": "get_weather"}}

promises = []


def promise(check):
    promises.append(check)
    return check


def simulated(check):
    """A promise that needs the simulated provider's control, limits or well-formed answers."""
    return promise(check) if SIMULATED else check


def ask(**more):
    return client.chat.completions.create(**{"model": MODEL, "messages": HELLO, "max_tokens": 16, "temperature": 0, **more})


def raw_stream(**more):
    """The bytes of a streamed answer, which the SDK's own reading might hide something of."""
    body = {"model": MODEL, "messages": HELLO, "max_tokens": 16, "stream": True, **more}
    headers = {"content-type": "application/json", "authorization": "Bearer sk-client"}
    request = urllib.request.Request(GATEWAY + "/v1/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream"), answer.headers["content-type"]
        return answer.read().decode()


def stats():
    with urllib.request.urlopen(CONTROL, timeout=10) as answer:
        return json.load(answer)["stats"]


@promise
def a_chat_is_answered_with_its_usage():
    answer = ask()
    choice = answer.choices[0]
    assert choice.message.role == "assistant", choice
    assert isinstance(choice.message.content, str), choice
    assert choice.finish_reason in ("stop", "length"), choice
    usage = answer.usage
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0, usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage


@promise
def a_streamed_chat_arrives_in_pieces_without_usage():
    chunks = list(ask(stream=True))
    assert len(chunks) > 2, chunks
    assert all(chunk.usage is None for chunk in chunks), chunks
    assert all(chunk.choices for chunk in chunks), "a chunk without choices reached a client that did not ask"
    assert chunks[-1].choices[0].finish_reason in ("stop", "length"), chunks[-1]
    if SIMULATED:
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


@promise
def no_byte_of_usage_leaks_to_a_client_that_did_not_ask():
    text = raw_stream()
    assert text.rstrip().endswith("data: [DONE]"), text[-200:]
    assert '"usage"' not in text, text[-400:]


@promise
def a_client_that_declines_usage_gets_none():
    text = raw_stream(stream_options={"include_usage": False})
    assert text.rstrip().endswith("data: [DONE]"), text[-200:]
    assert '"usage":{' not in text.replace(" ", ""), text[-400:]


@simulated
def a_streamed_chat_that_asks_for_usage_gets_it_last():
    chunks = list(ask(stream=True, stream_options={"include_usage": True}))
    with_usage = [chunk for chunk in chunks if chunk.usage]
    assert len(with_usage) == 1 and with_usage[0] is chunks[-1], chunks
    assert chunks[-1].choices == [], chunks[-1]
    assert chunks[-1].usage.total_tokens > 0, chunks[-1]


@promise
def a_streamed_chat_that_asks_for_usage_ends_as_it_should():
    chunks = list(ask(stream=True, stream_options={"include_usage": True}))
    assert any(chunk.choices and chunk.choices[0].finish_reason for chunk in chunks), chunks


@promise
def a_tool_is_called():
    answer = ask(tools=[WEATHER], tool_choice=FORCED, max_tokens=64)
    call = answer.choices[0].message.tool_calls[0]
    assert call.type == "function" and call.function.name == "get_weather", call
    assert call.id, call
    if SIMULATED:
        assert isinstance(json.loads(call.function.arguments), dict), call


@promise
def a_tool_call_is_streamed():
    name, arguments = "", ""
    for chunk in ask(tools=[WEATHER], tool_choice=FORCED, max_tokens=64, stream=True):
        for delta in (chunk.choices and chunk.choices[0].delta.tool_calls) or []:
            assert delta.index == 0, delta
            name = name or (delta.function.name or "")
            arguments += delta.function.arguments or ""
    assert name == "get_weather", name
    if SIMULATED:
        assert isinstance(json.loads(arguments), dict), arguments


@promise
def a_text_completion_is_answered():
    answer = client.completions.create(model=MODEL, prompt="hello", max_tokens=8)
    assert isinstance(answer.choices[0].text, str), answer
    assert answer.usage.total_tokens > 0, answer


@promise
def a_conversation_with_tool_results_goes_on():
    turn = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Graz"}'}}
    history = HELLO + [
        {"role": "assistant", "content": "", "tool_calls": [turn]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    assert ask(messages=history).choices[0].message.role == "assistant"


@promise
def embeddings_come_as_vectors_in_the_default_base64():
    answer = client.embeddings.create(model=MODEL, input=["hello", "world"])
    assert [item.index for item in answer.data] == [0, 1], answer
    assert all(len(item.embedding) > 0 for item in answer.data), answer
    assert answer.usage.prompt_tokens > 0, answer.usage


@simulated
def embeddings_as_floats_are_the_same_as_in_base64():
    packed = client.embeddings.create(model=MODEL, input="hello").data[0].embedding
    plain = client.embeddings.create(model=MODEL, input="hello", encoding_format="float").data[0].embedding
    assert len(plain) == len(packed), (len(plain), len(packed))
    assert all(abs(one - other) < 1e-5 for one, other in zip(plain, packed))


@promise
def the_models_are_listed():
    names = [model.id for model in client.models.list()]
    assert MODEL in names, names


# Behind a single provider every model is that provider's, so nobody is nobody only with two.
@simulated
def a_model_that_nobody_serves_is_not_found():
    try:
        ask(model="no-such-model")
    except openai.NotFoundError as error:
        assert error.status_code == 404, error
        assert "no-such-model" in error.body["message"], error.body
        assert error.request_id, "no x-request-id on an error"
        return
    raise AssertionError("an answer from nobody")


@promise
def a_cap_below_zero_is_a_bad_request():
    try:
        ask(max_tokens=-5)
    except openai.BadRequestError as error:
        assert "max_tokens" in error.body["message"], error.body
        return
    raise AssertionError("a negative cap was taken")


@promise
def the_headers_tell_what_was_done():
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=HELLO, max_tokens=16, extra_headers={"x-request-id": CHOSEN_ID}
    )
    headers = raw.headers
    # The provider's own id stays where SDKs look for it; what the client chose is beside it.
    assert headers["x-request-id"], dict(headers)
    assert headers["x-tidegate-request-id"] == CHOSEN_ID, dict(headers)
    assert headers["x-tidegate-provider"], dict(headers)
    assert int(headers["x-tidegate-attempts"]) == 1, dict(headers)
    assert int(headers["x-tidegate-queued-ms"]) >= 0, dict(headers)
    assert raw.parse().choices[0].message.role == "assistant"


@promise
def a_request_id_is_made_where_there_is_none():
    one, other = (client.models.with_raw_response.list().headers["x-request-id"] for _ in range(2))
    assert one and other and one != other, (one, other)


@simulated
def a_cancelled_stream_is_cancelled_at_the_provider():
    before = stats()["cancelled"]
    stream = ask(messages=[{"role": "user", "content": "write 5000 words"}], max_tokens=5000, stream=True)
    for _, _ in zip(range(3), stream):
        pass
    stream.close()
    deadline = time.monotonic() + 10
    while stats()["cancelled"] == before:
        assert time.monotonic() < deadline, stats()
        time.sleep(0.05)


@simulated
def a_burst_over_the_limit_waits_and_none_of_it_fails():
    def one(_):
        raw = client.chat.completions.with_raw_response.create(model=LIMITED, messages=HELLO, max_tokens=100)
        assert raw.parse().choices[0].message.content
        return int(raw.headers["x-tidegate-queued-ms"])

    with ThreadPoolExecutor(20) as pool:
        waits = list(pool.map(one, range(20)))
    assert max(waits) >= 100, f"nobody waited: {waits}"
    assert min(waits) < 100, f"everybody waited: {waits}"


def main():
    failed = 0
    for check in promises:
        name = check.__name__.replace("_", " ")
        try:
            check()
            print(f"ok      python: {name}", flush=True)
        except Exception as error:  # noqa: BLE001: whatever it is, it is a broken promise, and the rest is tried
            failed += 1
            print(f"BROKEN  python: {name}: {type(error).__name__}: {error}", flush=True)
            traceback.print_exc()
    print(f"counts {len(promises) - failed} {failed}", flush=True)
    sys.exit(failed > 0)


main()
