"""LiteLLM as a client through every route: as if the gateway were OpenAI, Anthropic and Gemini."""

import json

import litellm

from promises import (
    CANARY, GATEWAY, QUESTION, SAID, TIME, TIME_INPUT, USE_TWO_TOOLS, WEATHER, WEATHER_INPUT, WORDS, main, promise,
    received,
)

litellm.suppress_debug_info = True
VENDORS = {"openai": GATEWAY + "/v1", "anthropic": GATEWAY, "gemini": GATEWAY + "/v1beta"}
TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "Weather.", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "get_time", "description": "Time.", "parameters": TIME}},
]


def ask(vendor, via, text=QUESTION, **more):
    # It makes one of the system's words and the user's for a Gemini that it does not know.
    system = [] if vendor == "gemini" else [{"role": "system", "content": "Be brief."}]
    messages = more.pop("messages", [*system, {"role": "user", "content": text}])
    return litellm.completion(
        model=f"{vendor}/{via}", api_base=VENDORS[vendor], api_key=CANARY, messages=messages, max_tokens=64,
        num_retries=0, timeout=60, **more,
    )


@promise
def a_completion_is_answered(via):
    for vendor in VENDORS:
        answer = ask(vendor, via)
        assert answer.choices[0].message.content == SAID, answer
        assert answer.choices[0].finish_reason == "stop", answer
        assert answer.usage.completion_tokens == WORDS and answer.usage.prompt_tokens > 0, answer
        assert "Be brief." in received() or vendor == "gemini", received()


@promise
def a_completion_streams(via):
    for vendor in VENDORS:
        chunks = list(ask(vendor, via, stream=True, stream_options={"include_usage": True}))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == SAID, chunks
        usages = [chunk.usage for chunk in chunks if getattr(chunk, "usage", None)]
        assert usages and usages[-1].completion_tokens == WORDS, chunks


@promise
def tools_are_called_and_their_results_taken(via):
    for vendor in VENDORS:
        for stream in (False, True):
            asked = [{"role": "user", "content": USE_TWO_TOOLS}]
            answer = ask(vendor, via, messages=asked, tools=TOOLS, stream=stream)
            message = (litellm.stream_chunk_builder(list(answer)) if stream else answer).choices[0].message
            calls = [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls]
            assert calls == [("get_weather", WEATHER_INPUT), ("get_time", TIME_INPUT)], calls
            results = [
                {"role": "tool", "tool_call_id": call.id, "content": f"result {n}"}
                for n, call in enumerate(message.tool_calls)
            ]
            answer = ask(vendor, via, messages=[*asked, message.model_dump(), *results], tools=TOOLS)
            assert answer.choices[0].message.content.startswith("This is tidegate's"), answer
            assert "result 0" in received() and "result 1" in received(), received()


@promise
def a_model_that_nobody_serves_is_not_found(via):
    for vendor in VENDORS:
        try:
            ask(vendor, "no-such-model")
        except litellm.NotFoundError:
            continue
        raise AssertionError(f"{vendor}: an answer from nobody")


main("litellm python")
