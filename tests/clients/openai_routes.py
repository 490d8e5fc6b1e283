"""The official Python SDK of OpenAI through every route: chat and responses, whatever the provider speaks.

Reads what `promises` reads, and STORED: a gateway with nothing but a provider of responses, where stored answers are.
"""

import json
import os

import openai
from pydantic import BaseModel

from promises import (
    BREAKS, CANARY, GATEWAY, LONG_QUESTION, MODELS, PNG, QUESTION, SAID, SIMULATED, TIME, TIME_INPUT, USE_TOOL,
    USE_TWO_TOOLS, WEATHER, WEATHER_INPUT, WORDS, failing, faulty, main, promise, promise_on, received,
)

# Without retries of its own, so that every failure of the gateway shows.
client = openai.OpenAI(base_url=GATEWAY + "/v1", api_key=CANARY, max_retries=0, timeout=60)
stored = openai.OpenAI(base_url=os.environ["STORED"] + "/v1", api_key=CANARY, max_retries=0, timeout=60)

FUNCTIONS = {
    "get_weather": {"description": "Tells the weather in a city.", "parameters": WEATHER},
    "get_time": {"description": "Tells the time.", "parameters": TIME},
}
CHAT_TOOLS = [{"type": "function", "function": {"name": name, **it}} for name, it in FUNCTIONS.items()]
TOOLS = [{"type": "function", "name": name, "strict": True, **it} for name, it in FUNCTIONS.items()]
BOTH_CALLS = [("get_weather", WEATHER_INPUT), ("get_time", TIME_INPUT)]
PICTURE = f"data:image/png;base64,{PNG}"


class Weather(BaseModel):
    city: str
    days: int


def chat(via, text=QUESTION, **more):
    messages = more.pop("messages", [{"role": "user", "content": text}])
    return client.chat.completions.create(**{"model": via, "messages": messages, "max_tokens": 64, **more})


def responses(via, text=QUESTION, **more):
    return client.responses.create(**{"model": via, "input": text, "max_output_tokens": 64, **more})


def check_usage(input_tokens, output_tokens, total_tokens, wanted=WORDS):
    assert input_tokens > 0, input_tokens
    assert output_tokens == wanted, output_tokens
    assert total_tokens == input_tokens + output_tokens, total_tokens


def check_calls(found):
    """Names and arguments of (id, name, arguments)."""
    assert [(name, json.loads(arguments)) for _, name, arguments in found] == BOTH_CALLS, found
    assert len({identity for identity, _, _ in found}) == 2 and all(found), found


@promise
def a_chat_is_answered(via):
    answer = chat(via)
    choice = answer.choices[0]
    assert answer.object == "chat.completion" and answer.id and answer.created > 1_600_000_000, answer
    assert choice.message.role == "assistant" and choice.message.content == SAID, choice
    assert choice.finish_reason == "stop" and not choice.message.tool_calls, choice
    assert answer.model == MODELS[via], answer
    usage = answer.usage
    check_usage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)


@promise
def a_chat_ends_at_its_cap_and_at_its_stop(via):
    # OpenAI's least cap of a response is sixteen tokens, so a smaller one could not be kept on every route.
    answer = chat(via, LONG_QUESTION, max_tokens=16)
    assert answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens == 16, answer
    raw = client.chat.completions.with_raw_response.create(
        model=via, messages=[{"role": "user", "content": QUESTION}], max_tokens=64, stop=["simulated"]
    )
    # Responses have no stops: that is told.
    if via == "via-responses":
        assert "stop" in raw.headers["x-tidegate-dropped"], raw.headers
        return
    choice = raw.parse().choices[0]
    assert (choice.message.content.strip(), choice.finish_reason) == ("This is tidegate's", "stop"), choice


@promise
def a_chat_streams(via):
    chunks = list(chat(via, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == SAID, chunks
    assert len(chunks) > 5 and len({chunk.id for chunk in chunks}) == 1, chunks
    assert chunks[0].choices[0].delta.role == "assistant", chunks[0]
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert [reason for reason in reasons if reason] == ["stop"], reasons
    assert chunks[-1].choices == [] and all(chunk.usage is None for chunk in chunks[:-1]), chunks
    usage = chunks[-1].usage
    check_usage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)


@promise
def a_chat_streams_no_usage_to_who_did_not_ask(via):
    chunks = list(chat(via, stream=True))
    assert all(chunk.usage is None and len(chunk.choices) == 1 for chunk in chunks), chunks


@promise
def a_chat_calls_two_tools_and_takes_their_results(via):
    choice = chat(via, USE_TWO_TOOLS, tools=CHAT_TOOLS).choices[0]
    assert choice.finish_reason == "tool_calls", choice
    calls = choice.message.tool_calls
    check_calls([(call.id, call.function.name, call.function.arguments) for call in calls])
    results = [{"role": "tool", "tool_call_id": call.id, "content": f"result {n}"} for n, call in enumerate(calls)]
    history = [{"role": "user", "content": USE_TWO_TOOLS}, choice.message, *results]
    choice = chat(via, messages=history, tools=CHAT_TOOLS).choices[0]
    assert choice.finish_reason == "stop" and choice.message.content.startswith("This is tidegate's"), choice
    assert "result 0" in received() and "result 1" in received(), received()


@promise
def a_chat_obeys_its_tool_choice(via):
    named = {"type": "function", "function": {"name": "get_time"}}
    calls = chat(via, tools=CHAT_TOOLS, tool_choice=named).choices[0].message.tool_calls
    assert [call.function.name for call in calls] == ["get_time"], calls
    calls = chat(via, tools=CHAT_TOOLS, tool_choice="required").choices[0].message.tool_calls
    assert [call.function.name for call in calls] == ["get_weather"], calls
    assert chat(via, USE_TOOL, tools=CHAT_TOOLS, tool_choice="none").choices[0].message.tool_calls is None
    calls = chat(via, USE_TWO_TOOLS, tools=CHAT_TOOLS, parallel_tool_calls=False).choices[0].message.tool_calls
    # Gemini cannot be told to make one call at a time.
    assert len(calls) == (2 if via == "via-gemini" else 1), calls


@promise
def a_chat_streams_the_arguments_of_its_tools(via):
    with client.chat.completions.stream(
        model=via, messages=[{"role": "user", "content": USE_TWO_TOOLS}], tools=CHAT_TOOLS, max_tokens=64
    ) as stream:
        pieces = [event for event in stream if event.type == "tool_calls.function.arguments.delta"]
        choice = stream.get_final_completion().choices[0]
    assert len(pieces) > 2, pieces
    assert choice.finish_reason == "tool_calls", choice
    check_calls([(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls])


@promise
def a_chat_is_parsed_by_its_schema(via):
    answer = client.chat.completions.parse(
        model=via, messages=[{"role": "user", "content": QUESTION}], response_format=Weather, max_tokens=64
    )
    assert answer.choices[0].message.parsed == Weather(city=SIMULATED, days=1), answer


@promise
def two_choices_are_given_or_refused(via):
    # Only chat is asked for several answers at a time.
    try:
        answer = chat(via, n=2)
    except openai.BadRequestError as error:
        assert via != "via-chat" and "n = 2" in error.body["message"], error
        return
    assert via == "via-chat" and len(answer.choices) == 2, answer


@promise
def a_chat_with_reasoning_effort_is_answered_after_thought(via):
    answer = chat(via, reasoning_effort="low", max_tokens=4096)
    assert answer.choices[0].message.content == SAID, answer
    word = {"via-chat": "reasoning_effort", "via-responses": "effort", "via-messages": "thinking",
            "via-gemini": "thinkingConfig"}[via]
    assert word in received(), received()
    assert answer.usage.completion_tokens >= WORDS, answer.usage


@promise
def a_chat_takes_pictures_and_the_words_of_its_developer(via):
    parts = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": PICTURE}}]
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}]
    assert chat(via, messages=messages).choices[0].message.content == SAID
    assert PNG in received() and "Be brief." in received(), received()


@promise
def an_error_of_the_provider_is_of_its_class(via):
    for ask in (chat, responses):
        cases = ((503, openai.InternalServerError), (400, openai.BadRequestError), (429, openai.RateLimitError))
        for status, kind in cases:
            with failing(status):
                try:
                    ask(via)
                except kind as error:
                    assert error.status_code == status and error.body["message"], error
                    continue
            raise AssertionError(f"{status} was answered")


@promise
def a_stream_that_breaks_off_is_an_error(via):
    for broken in BREAKS:
        for ask in (chat, responses):
            with faulty(**broken):
                try:
                    kinds = [getattr(event, "type", "") for event in ask(via, LONG_QUESTION, stream=True)]
                except openai.APIError:
                    continue
                # In a stream of responses an error is an event, which the SDK gives to who reads it.
                except Exception as error:  # noqa: BLE001: a transport that breaks has no class of the SDK's
                    assert "http" in type(error).__module__, error
                    continue
            assert ask is responses and kinds[-1] in ("response.failed", "error"), (broken, kinds)


@promise
def a_model_that_nobody_serves_is_not_found(via):
    for ask in (chat, responses):
        try:
            ask("no-such-model")
        except openai.NotFoundError as error:
            assert "no-such-model" in error.body["message"], error.body
            continue
        raise AssertionError("an answer from nobody")


@promise
def a_response_is_made(via):
    answer = responses(via)
    assert answer.object == "response" and answer.status == "completed" and answer.error is None, answer
    assert answer.id.startswith("resp_") and answer.created_at > 1_600_000_000, answer
    assert answer.output_text == SAID, answer
    message = answer.output[-1]
    assert message.type == "message" and message.role == "assistant" and message.id, message
    assert answer.model == MODELS[via], answer
    usage = answer.usage
    check_usage(usage.input_tokens, usage.output_tokens, usage.total_tokens)


@promise
def a_response_ends_incomplete_at_its_cap(via):
    answer = responses(via, LONG_QUESTION, max_output_tokens=16)
    assert answer.status == "incomplete" and answer.incomplete_details.reason == "max_output_tokens", answer
    assert answer.output_text.startswith("This is tidegate's") and answer.usage.output_tokens == 16, answer


@promise
def a_response_streams_every_event_in_its_order(via):
    with client.responses.stream(model=via, input=QUESTION, max_output_tokens=64) as stream:
        events = list(stream)
        answer = stream.get_final_response()
    kinds = [event.type for event in events]
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed", kinds
    order = ["response.output_item.added", "response.content_part.added", "response.output_text.delta",
             "response.output_text.done", "response.content_part.done", "response.output_item.done"]
    assert [kinds.index(kind) for kind in order] == sorted(kinds.index(kind) for kind in order), kinds
    assert [event.sequence_number for event in events] == list(range(len(events))), kinds
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == SAID, events
    assert answer.output_text == SAID and answer.status == "completed", answer
    assert answer.id == events[0].response.id and answer.id.startswith("resp_"), answer
    check_usage(answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens)


@promise
def a_response_calls_two_tools_and_takes_their_results(via):
    answer = responses(via, USE_TWO_TOOLS, tools=TOOLS)
    calls = [item for item in answer.output if item.type == "function_call"]
    check_calls([(call.call_id, call.name, call.arguments) for call in calls])
    history = [{"role": "user", "content": USE_TWO_TOOLS}, *answer.output]
    history += [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"result {n}"}
        for n, call in enumerate(calls)
    ]
    answer = responses(via, history, tools=TOOLS)
    assert answer.output_text.startswith("This is tidegate's") and answer.status == "completed", answer
    assert "result 0" in received() and "result 1" in received(), received()


@promise
def a_response_streams_the_arguments_of_its_tools(via):
    with client.responses.stream(model=via, input=USE_TWO_TOOLS, tools=TOOLS, max_output_tokens=64) as stream:
        events = list(stream)
        answer = stream.get_final_response()
    # Gemini gives each call's arguments in one piece.
    least = 2 if via == "via-gemini" else 4
    assert sum(event.type == "response.function_call_arguments.delta" for event in events) >= least, events
    done = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert [json.loads(event.arguments) for event in done] == [WEATHER_INPUT, TIME_INPUT], done
    calls = [item for item in answer.output if item.type == "function_call"]
    check_calls([(call.call_id, call.name, call.arguments) for call in calls])


@promise
def a_response_is_parsed_by_its_schema(via):
    answer = client.responses.parse(model=via, input=QUESTION, text_format=Weather, max_output_tokens=64)
    assert answer.output_parsed == Weather(city=SIMULATED, days=1), answer


@promise
def a_response_tells_its_thoughts_and_takes_them_back(via):
    more = {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"],
            "store": False, "max_output_tokens": 4096}
    answer = responses(via, **more)
    assert answer.output_text == SAID, answer
    thoughts = [item for item in answer.output if item.type == "reasoning"]
    # A provider of chat keeps its thoughts to itself.
    if via != "via-chat":
        assert thoughts and thoughts[0].summary and thoughts[0].summary[0].text, answer
    history = [{"role": "user", "content": QUESTION}, *answer.output, {"role": "user", "content": QUESTION}]
    assert responses(via, history, **more).output_text == SAID


@promise
def a_response_takes_pictures_and_instructions(via):
    parts = [{"type": "input_text", "text": QUESTION}, {"type": "input_image", "image_url": PICTURE, "detail": "auto"}]
    answer = responses(via, [{"role": "user", "content": parts}], instructions="Be brief.")
    assert answer.output_text == SAID, answer
    assert PNG in received() and "Be brief." in received(), received()


@promise
def a_tool_of_free_text_is_called_by_a_response(via):
    tool = {"type": "custom", "name": "apply_patch", "description": "Applies a patch."}
    answer = responses(via, USE_TOOL, tools=[tool])
    call = answer.output[-1]
    assert (call.type, call.name) == ("custom_tool_call", "apply_patch") and SIMULATED in call.input, answer
    with client.responses.stream(model=via, input=USE_TOOL, tools=[tool], max_output_tokens=64) as stream:
        kinds = [event.type for event in stream]
        call = stream.get_final_response().output[-1]
    assert "response.custom_tool_call_input.done" in kinds and SIMULATED in call.input, kinds
    result = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "result 7"}
    history = [{"role": "user", "content": USE_TOOL}, *stream.get_final_response().output, result]
    assert responses(via, history, tools=[tool]).output_text.startswith("This is tidegate's")
    assert "result 7" in received(), received()


@promise
def the_input_of_a_response_is_counted(via):
    short = client.responses.input_tokens.count(model=via, input=QUESTION).input_tokens
    long = client.responses.input_tokens.count(model=via, input=QUESTION * 20).input_tokens
    assert 0 < short < long, (short, long)


@promise_on("via-responses")
def a_stored_response_is_had_again_and_deleted(via):
    answer = stored.responses.create(model="sim", input=QUESTION)
    assert stored.responses.retrieve(answer.id).output_text == SAID
    follow = stored.responses.create(model="sim", input=QUESTION, previous_response_id=answer.id)
    assert follow.output_text == SAID and follow.previous_response_id == answer.id, follow
    stored.responses.delete(answer.id)
    try:
        stored.responses.retrieve(answer.id)
    except openai.NotFoundError:
        return
    raise AssertionError("a deleted response was had again")


@promise_on("via-responses")
def a_response_in_the_background_is_cancelled(via):
    answer = stored.responses.create(model="sim", input="Please write 2000 words", background=True)
    assert answer.status in ("queued", "in_progress", "completed"), answer
    assert stored.responses.cancel(answer.id).status in ("cancelled", "completed")


@promise
def a_model_is_shown(via):
    assert client.models.retrieve(via).id == via


@promise_on("via-chat", "via-responses")
def embeddings_come_as_vectors(via):
    answer = client.embeddings.create(model=via, input=["hello", "world"])
    assert [item.index for item in answer.data] == [0, 1] and answer.data[0].embedding, answer


main("openai python")
