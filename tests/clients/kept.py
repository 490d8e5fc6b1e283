"""The official Python SDKs of OpenAI and Anthropic through every route, behind a provider that takes its time: a stream
that is kept alive until it begins is the same stream, and an error in it is raised.

Reads what `promises` reads. GATEWAY keeps alive after 200 ms, and a stream here begins after a second.
"""

import contextlib

import anthropic
import openai

from promises import CANARY, GATEWAY, QUESTION, SAID, control, faulty, main, promise

client = openai.OpenAI(base_url=GATEWAY + "/v1", api_key=CANARY, max_retries=0, timeout=60)
claude = anthropic.Anthropic(base_url=GATEWAY, api_key=CANARY, max_retries=0, timeout=60)
HELLO = [{"role": "user", "content": QUESTION}]


@contextlib.contextmanager
def slow(**faults):
    control(faults={"first_token_delay": "1s"})
    try:
        with faulty(**faults) if faults else contextlib.nullcontext():
            yield
    finally:
        control(faults={"first_token_delay": "10ms"})


@contextlib.contextmanager
def kept(call, **asked):
    """The stream of a call whose head came before its answer."""
    raw = call.with_raw_response.create(stream=True, **asked)
    assert raw.headers["x-tidegate-kept"] == "true", raw.headers
    assert "x-tidegate-provider" not in raw.headers, raw.headers
    yield raw.parse()


def chat(via, **more):
    return kept(client.chat.completions, model=via, messages=HELLO, max_tokens=64, **more)


def responses(via, **more):
    return kept(client.responses, model=via, input=QUESTION, max_output_tokens=64, **more)


def messages(via, **more):
    return kept(claude.messages, model=via, messages=HELLO, max_tokens=64, **more)


@promise
def a_chat_that_waited_is_whole(via):
    with slow(), chat(via) as stream:
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == SAID, chunks
    assert chunks[-1].choices[0].finish_reason == "stop", chunks[-1]


@promise
def a_response_that_waited_is_whole(via):
    with slow(), responses(via) as stream:
        events = list(stream)
    assert events[0].type == "response.created", events[0]
    assert events[-1].type == "response.completed" and events[-1].response.output_text == SAID, events[-1]


@promise
def a_message_that_waited_is_whole(via):
    with slow(), messages(via) as stream:
        events = [event for event in stream if event.type != "ping"]
    assert events[0].type == "message_start" and events[-1].type == "message_stop", events
    texts = [event.delta for event in events if event.type == "content_block_delta"]
    assert "".join(delta.text for delta in texts) == SAID, events


@promise
def a_message_that_waited_is_put_together(via):
    with slow(), claude.messages.stream(model=via, messages=HELLO, max_tokens=64) as stream:
        message = stream.get_final_message()
    assert message.content[0].text == SAID and message.stop_reason == "end_turn", message


def failing():
    return slow(error_event_after_chunks=0, error_message="out of order")


@promise
def an_error_after_the_wait_is_raised_by_openais_sdk(via):
    try:
        with failing(), chat(via) as stream:
            list(stream)
    except openai.APIError as error:
        assert "out of order" in error.message, error
    else:
        raise AssertionError("nothing was raised")


@promise
def an_error_after_the_wait_fails_a_response(via):
    with failing(), responses(via) as stream:
        events = list(stream)
    failed = next(event for event in events if event.type == "response.failed")
    assert "out of order" in failed.response.error.message, failed


@promise
def an_error_after_the_wait_is_raised_by_anthropics_sdk(via):
    try:
        with failing(), messages(via) as stream:
            list(stream)
    except anthropic.APIStatusError as error:
        assert "out of order" in str(error), error
    else:
        raise AssertionError("nothing was raised")


main("OpenAI's and Anthropic's SDKs, kept alive")
