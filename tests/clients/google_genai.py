"""Google's Python SDK for Gemini through every route: generateContent, whatever the provider speaks."""

import base64

from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from promises import (
    BREAKS, CANARY, GATEWAY, LONG_QUESTION, MODELS, PNG, QUESTION, SAID, SIMULATED, TIME_INPUT, USE_TOOL,
    USE_TWO_TOOLS, WEATHER_INPUT, WORDS, failing, faulty, main, promise, promise_on, received,
)

client = genai.Client(api_key=CANARY, http_options=types.HttpOptions(base_url=GATEWAY, timeout=60_000))

STRING = types.Schema(type="STRING")
TOOLS = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="get_weather",
            description="Tells the weather in a city.",
            parameters=types.Schema(
                type="OBJECT",
                properties={"city": STRING, "days": types.Schema(type="INTEGER")},
                required=["city", "days"],
            ),
        ),
        types.FunctionDeclaration(
            name="get_time",
            description="Tells the time.",
            parameters=types.Schema(
                type="OBJECT",
                properties={"zone": types.Schema(type="STRING", enum=["UTC", "CET"])},
                required=["zone"],
            ),
        ),
    ]
)
BOTH_CALLS = [("get_weather", WEATHER_INPUT), ("get_time", TIME_INPUT)]


class Weather(BaseModel):
    city: str
    days: int


def ask(via, contents=QUESTION, **config):
    config = types.GenerateContentConfig(**{"max_output_tokens": 64, **config})
    return client.models.generate_content(model=via, contents=contents, config=config)


def stream(via, contents=QUESTION, **config):
    config = types.GenerateContentConfig(**{"max_output_tokens": 64, **config})
    return list(client.models.generate_content_stream(model=via, contents=contents, config=config))


def check_usage(usage):
    assert usage.prompt_token_count > 0 and usage.candidates_token_count == WORDS, usage
    assert usage.total_token_count == usage.prompt_token_count + WORDS, usage


def tool_config(mode, *names):
    calling = types.FunctionCallingConfig(mode=mode, allowed_function_names=list(names) or None)
    return types.ToolConfig(function_calling_config=calling)


@promise
def content_is_generated(via):
    answer = ask(via)
    assert answer.text == SAID, answer
    candidate = answer.candidates[0]
    assert candidate.finish_reason == types.FinishReason.STOP and candidate.content.role == "model", candidate
    assert answer.model_version == MODELS[via] and answer.response_id, answer
    check_usage(answer.usage_metadata)


@promise
def content_ends_at_its_cap_and_at_its_stop(via):
    answer = ask(via, LONG_QUESTION, max_output_tokens=16)
    assert answer.usage_metadata.candidates_token_count == 16, answer
    assert answer.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS, answer
    answer = ask(via, stop_sequences=["simulated"])
    # Responses have no stops: that is told.
    if via == "via-responses":
        assert "stop" in answer.sdk_http_response.headers["x-tidegate-dropped"], answer.sdk_http_response
        return
    assert answer.text.strip() == "This is tidegate's", answer
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP, answer


@promise
def content_is_streamed(via):
    chunks = stream(via)
    assert len(chunks) > 2 and "".join(chunk.text or "" for chunk in chunks) == SAID, chunks
    reasons = [chunk.candidates[0].finish_reason for chunk in chunks if chunk.candidates]
    assert [reason for reason in reasons if reason] == [types.FinishReason.STOP], reasons
    assert len({chunk.response_id for chunk in chunks}) == 1, chunks
    check_usage(chunks[-1].usage_metadata)


@promise
def two_functions_are_called_and_their_results_taken(via):
    answer = ask(via, USE_TWO_TOOLS, tools=[TOOLS])
    assert [(call.name, call.args) for call in answer.function_calls] == BOTH_CALLS, answer
    results = [
        types.FunctionResponse(id=call.id, name=call.name, response={"result": f"result {n}"})
        for n, call in enumerate(answer.function_calls)
    ]
    history = [
        types.Content(role="user", parts=[types.Part(text=USE_TWO_TOOLS)]),
        answer.candidates[0].content,
        types.Content(role="user", parts=[types.Part(function_response=result) for result in results]),
    ]
    answer = ask(via, history, tools=[TOOLS])
    assert answer.text.startswith("This is tidegate's"), answer
    assert "result 0" in received() and "result 1" in received(), received()


@promise
def function_calls_are_streamed(via):
    calls = [call for chunk in stream(via, USE_TWO_TOOLS, tools=[TOOLS]) for call in chunk.function_calls or []]
    assert [(call.name, call.args) for call in calls] == BOTH_CALLS, calls


@promise
def functions_are_called_by_the_sdk_itself(via):
    asked = []

    def get_weather(city: str) -> str:
        """Tells the weather in a city."""
        asked.append(city)
        return "18 degrees"

    answer = ask(via, USE_TOOL, tools=[get_weather])
    assert asked == [SIMULATED], asked
    assert answer.text.startswith("This is tidegate's"), answer
    assert "18 degrees" in received(), received()


@promise
def the_mode_of_calling_is_obeyed(via):
    def called(**config):
        return [call.name for call in ask(via, USE_TOOL, tools=[TOOLS], **config).function_calls or []]

    assert called(tool_config=tool_config("ANY", "get_time")) == ["get_time"]
    assert called(tool_config=tool_config("ANY")) == ["get_weather"]
    assert called(tool_config=tool_config("NONE")) == []


@promise
def json_keeps_to_its_schema(via):
    answer = ask(via, response_mime_type="application/json", response_schema=Weather)
    assert answer.parsed == Weather(city=SIMULATED, days=1), answer
    answer = ask(via, response_mime_type="application/json", response_json_schema=Weather.model_json_schema())
    assert answer.parsed == {"city": SIMULATED, "days": 1}, answer


@promise
def a_system_instruction_and_pictures_are_taken(via):
    picture = types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png")
    answer = ask(via, [QUESTION, picture], system_instruction="Be brief.")
    assert answer.text == SAID, answer
    # The SDK writes base64 with the alphabet for URLs, which nobody but Gemini reads.
    sent = received() if via != "via-gemini" else received().replace("-", "+").replace("_", "/")
    assert PNG in sent and "Be brief." in sent, sent


@promise
def thoughts_are_told_apart_and_taken_back(via):
    config = types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
    thinking = {"thinking_config": config, "max_output_tokens": 4096}
    answer = ask(via, **thinking)
    assert answer.text == SAID, answer
    thoughts = [part.text for part in answer.candidates[0].content.parts if part.thought]
    # A provider of chat keeps its thoughts to itself.
    if via != "via-chat":
        assert "kindly" in "".join(thoughts), answer
    # Anthropic counts what was thought among what was said.
    if via in ("via-responses", "via-gemini"):
        assert answer.usage_metadata.thoughts_token_count > 0, answer
    history = [types.Content(role="user", parts=[types.Part(text=QUESTION)]), answer.candidates[0].content]
    history.append(history[0])
    chunks = stream(via, history, **thinking)
    assert "".join(chunk.text or "" for chunk in chunks) == SAID, chunks


@promise
def a_chat_goes_on(via):
    chat = client.chats.create(model=via)
    assert chat.send_message(QUESTION).text == SAID
    assert "".join(chunk.text or "" for chunk in chat.send_message_stream(QUESTION)) == SAID
    assert len(chat.get_history()) >= 4, chat.get_history()


@promise
def tokens_are_counted(via):
    short = client.models.count_tokens(model=via, contents=QUESTION).total_tokens
    long = client.models.count_tokens(model=via, contents=QUESTION * 20).total_tokens
    assert 0 < short < long, (short, long)


@promise_on("via-gemini")
def content_is_embedded(via):
    # The SDK makes one content of all for a model that is called a Gemini, and a batch for any other.
    for model, count in ((via, 1), ("vectors", 2)):
        answer = client.models.embed_content(model=model, contents=["hello", "world"])
        assert len(answer.embeddings) == count and all(one.values for one in answer.embeddings), answer


@promise
def a_model_that_nobody_serves_is_not_found(via):
    try:
        ask("no-such-model")
    except errors.ClientError as error:
        assert (error.code, error.status) == (404, "NOT_FOUND") and "no-such-model" in error.message, error
        return
    raise AssertionError("an answer from nobody")


@promise
def an_error_of_the_provider_has_its_code(via):
    for status, word in ((400, "INVALID_ARGUMENT"), (503, "UNAVAILABLE"), (429, "RESOURCE_EXHAUSTED")):
        with failing(status):
            try:
                ask(via)
            except errors.APIError as error:
                assert (error.code, error.status) == (status, word) and error.message, error
                continue
        raise AssertionError(f"{status} was answered")


@promise
def a_stream_that_breaks_off_is_an_error(via):
    for broken in BREAKS:
        with faulty(**broken):
            try:
                stream(via, LONG_QUESTION)
            except errors.APIError:
                continue
            except Exception as error:  # noqa: BLE001: a transport that breaks has no class of the SDK's
                assert "http" in type(error).__module__, error
                continue
        raise AssertionError(f"{broken} went unseen")


@promise
def the_models_are_listed(via):
    assert f"models/{via}" in [model.name for model in client.models.list()]
    assert client.models.get(model=via).name == f"models/{via}"


main("google-genai python")
