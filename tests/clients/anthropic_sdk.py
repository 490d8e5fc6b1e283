"""The official Python SDK of Anthropic through every route: messages, whatever the provider speaks."""

import base64

import anthropic
from pydantic import BaseModel

from promises import (
    BREAKS, CANARY, GATEWAY, LONG_QUESTION, MODELS, PNG, QUESTION, SAID, SIMULATED, TIME, TIME_INPUT, USE_TOOL,
    USE_TWO_TOOLS, WEATHER, WEATHER_INPUT, WORDS, failing, faulty, main, promise, promise_on, received,
)

# Without retries of its own, so that every failure of the gateway shows.
client = anthropic.Anthropic(base_url=GATEWAY, api_key=CANARY, max_retries=0, timeout=60)
bearer = anthropic.Anthropic(base_url=GATEWAY, auth_token=CANARY, api_key=None, max_retries=0, timeout=60)

TOOLS = [
    {"name": "get_weather", "description": "Tells the weather in a city.", "input_schema": WEATHER},
    {"name": "get_time", "description": "Tells the time.", "input_schema": TIME},
]
PDF = base64.b64encode(b"%PDF-1.4\n%%EOF\n").decode()
BOTH_CALLS = [("get_weather", WEATHER_INPUT), ("get_time", TIME_INPUT)]
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4096}


class Weather(BaseModel):
    city: str
    days: int


def asking(via, content=QUESTION, **more):
    return {"model": via, "max_tokens": 64, "messages": [{"role": "user", "content": content}], **more}


def ask(via, content=QUESTION, **more):
    return client.messages.create(**asking(via, content, **more))


def finished(via, content=QUESTION, **more):
    """The events of a stream and the message that the SDK puts together from them."""
    with client.messages.stream(**asking(via, content, **more)) as stream:
        events = list(stream)
        return events, stream.get_final_message()


def check_message(via, message, stop="end_turn"):
    assert message.type == "message" and message.role == "assistant" and message.id.startswith("msg_"), message
    assert message.stop_reason == stop and message.model == MODELS[via], message
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0, message.usage


def check_calls(via, message):
    check_message(via, message, "tool_use")
    calls = [block for block in message.content if block.type == "tool_use"]
    assert [(call.name, call.input) for call in calls] == BOTH_CALLS, calls
    assert len({call.id for call in calls}) == 2 and all(call.id for call in calls), calls
    return calls


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


@promise
def a_message_is_answered(via):
    message = ask(via)
    check_message(via, message)
    assert [block.type for block in message.content] == ["text"] and text_of(message) == SAID, message
    assert message.usage.output_tokens == WORDS, message.usage
    assert message.stop_sequence is None, message


@promise
def a_message_ends_at_its_cap_and_at_its_stop(via):
    message = ask(via, LONG_QUESTION, max_tokens=16)
    assert message.stop_reason == "max_tokens" and message.usage.output_tokens == 16, message
    raw = client.messages.with_raw_response.create(**asking(via, stop_sequences=["simulated"]))
    # Responses have no stops: that is told.
    if via == "via-responses":
        assert "stop" in raw.headers["x-tidegate-dropped"], raw.headers
        return
    message = raw.parse()
    assert text_of(message).strip() == "This is tidegate's", message
    # Nobody else tells a stop sequence from an end.
    wanted = ("stop_sequence", "simulated") if via == "via-messages" else ("end_turn", None)
    assert (message.stop_reason, message.stop_sequence) == wanted, message


@promise
def a_message_streams_every_event_in_its_order(via):
    events, message = finished(via)
    check_message(via, message)
    assert text_of(message) == SAID and message.usage.output_tokens == WORDS, message
    kinds = [event.type for event in events if not event.type == "text"]
    assert kinds[:2] == ["message_start", "content_block_start"], kinds
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"], kinds
    assert kinds.count("content_block_delta") > 3, kinds
    assert "".join(event.text for event in events if event.type == "text") == SAID, events


@promise
def a_message_calls_two_tools_and_takes_their_results(via):
    message = ask(via, USE_TWO_TOOLS, tools=TOOLS)
    calls = check_calls(via, message)
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": f"result {n}", "is_error": n == 1}
        for n, call in enumerate(calls)
    ]
    history = [
        {"role": "user", "content": USE_TWO_TOOLS},
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": results},
    ]
    message = ask(via, messages=history, tools=TOOLS)
    check_message(via, message)
    assert text_of(message).startswith("This is tidegate's"), message
    assert "result 0" in received() and "result 1" in received(), received()


@promise
def a_message_streams_the_input_of_its_tools(via):
    events, message = finished(via, USE_TWO_TOOLS, tools=TOOLS)
    check_calls(via, message)
    # Gemini gives each call's arguments in one piece.
    least = 2 if via == "via-gemini" else 4
    assert sum(event.type == "input_json" for event in events) >= least, events


@promise
def tools_are_run_by_the_sdk_itself(via):
    asked = []

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """Tells the weather in a city."""
        asked.append(city)
        return "18 degrees"

    runner = client.beta.messages.tool_runner(**asking(via, USE_TOOL, tools=[get_weather]))
    assert text_of(runner.until_done()).startswith("This is tidegate's")
    assert asked == [SIMULATED] and "18 degrees" in received(), asked


@promise
def a_message_is_parsed_by_its_schema(via):
    message = client.messages.parse(**asking(via), output_format=Weather)
    assert message.parsed_output == Weather(city=SIMULATED, days=1), message


@promise
def a_message_obeys_its_tool_choice(via):
    def called(**choice):
        message = ask(via, USE_TWO_TOOLS, tools=TOOLS, tool_choice=choice)
        return [block.name for block in message.content if block.type == "tool_use"]

    assert called(type="any") == ["get_weather", "get_time"]
    assert set(called(type="tool", name="get_time")) == {"get_time"}
    assert called(type="none") == []
    # Gemini cannot be told to make one call at a time.
    if via != "via-gemini":
        assert called(type="auto", disable_parallel_tool_use=True) == ["get_weather"]


@promise
def thoughts_come_first_and_are_taken_back(via):
    message = ask(via, **THINKING)
    check_message(via, message)
    check_thoughts(via, message)
    history = [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": QUESTION},
    ]
    assert text_of(ask(via, messages=history, **THINKING)) == SAID


@promise
def thoughts_are_streamed_and_taken_back_with_a_tools_result(via):
    events, message = finished(via, USE_TWO_TOOLS, tools=TOOLS, **THINKING)
    check_calls(via, message)
    if via != "via-chat":
        assert message.content[0].type == "thinking" and message.content[0].thinking, message
        said = "".join(event.thinking for event in events if event.type == "thinking")
        assert said == message.content[0].thinking, events
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": [{"type": "text", "text": "18 degrees"}]}
        for block in message.content if block.type == "tool_use"
    ]
    history = [
        {"role": "user", "content": USE_TWO_TOOLS},
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": results},
    ]
    _, message = finished(via, messages=history, tools=TOOLS, **THINKING)
    assert text_of(message).startswith("This is tidegate's"), message
    assert "18 degrees" in received(), received()


def check_thoughts(via, message):
    assert text_of(message) == SAID, message
    # A provider of chat keeps its thoughts to itself.
    if via != "via-chat":
        assert [block.type for block in message.content] == ["thinking", "text"], message
        assert "kindly" in message.content[0].thinking, message
        assert message.usage.output_tokens > WORDS, message.usage


@promise
def the_tokens_of_a_message_are_counted(via):
    count = client.messages.count_tokens(model=via, messages=[{"role": "user", "content": QUESTION}])
    more = client.messages.count_tokens(
        model=via, messages=[{"role": "user", "content": QUESTION * 20}], tools=TOOLS, system="Be brief."
    )
    assert 0 < count.input_tokens < more.input_tokens, (count, more)


@promise
def pictures_and_a_cached_system_prompt_are_taken(via):
    parts = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "text", "text": QUESTION},
    ]
    system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    message = ask(via, parts, system=system)
    check_message(via, message)
    assert text_of(message) == SAID, message
    assert PNG in received() and "Be brief." in received(), received()


@promise
def a_document_is_taken(via):
    source = {"type": "base64", "media_type": "application/pdf", "data": PDF}
    parts = [{"type": "document", "source": source}, {"type": "text", "text": QUESTION}]
    assert text_of(ask(via, parts)) == SAID
    assert PDF in received(), received()


@promise_on("via-messages")
def a_cached_prompt_is_read_from_the_cache(via):
    # Shorter prompts are not cached.
    system = [{"type": "text", "text": "Be brief. " * 2000, "cache_control": {"type": "ephemeral"}}]
    ask(via, system=system)
    usage = ask(via, system=system).usage
    assert usage.cache_read_input_tokens > 1000, usage


@promise
def both_kinds_of_credential_are_taken(via):
    assert text_of(bearer.messages.create(**asking(via))) == SAID
    assert text_of(client.messages.create(**asking(via))) == SAID


@promise
def beta_headers_and_their_query_are_taken(via):
    message = client.beta.messages.create(**asking(via), betas=["context-1m-2025-08-07"])
    assert text_of(message) == SAID, message


@promise
def a_model_that_nobody_serves_is_not_found(via):
    try:
        ask("no-such-model")
    except anthropic.NotFoundError as error:
        assert error.body["type"] == "error" and error.body["error"]["type"] == "not_found_error", error.body
        assert "no-such-model" in error.body["error"]["message"], error.body
        assert error.request_id, "no request-id on an error"
        return
    raise AssertionError("an answer from nobody")


@promise
def an_error_of_the_provider_is_of_its_class(via):
    cases = [
        (500, anthropic.InternalServerError, "api_error"),
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (529, anthropic.OverloadedError, "overloaded_error"),
    ]
    for status, kind, word in cases:
        with failing(status):
            try:
                ask(via)
            except kind as error:
                assert error.body["type"] == "error" and error.body["error"]["message"], error.body
                assert word == error.body["error"]["type"], error.body
                continue
        raise AssertionError(f"{status} was answered")


@promise
def a_stream_that_breaks_off_is_an_error(via):
    for broken in BREAKS:
        with faulty(**broken):
            try:
                finished(via, LONG_QUESTION)
            except anthropic.APIError:
                continue
            except Exception as error:  # noqa: BLE001: a transport that breaks has no class of the SDK's
                assert "http" in type(error).__module__, error
                continue
        raise AssertionError(f"{broken} went unseen")


@promise
def the_models_are_listed(via):
    assert via in [model.id for model in client.models.list(limit=1000)]
    assert client.models.retrieve(via).id == via


main("anthropic python")
