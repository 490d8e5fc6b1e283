"""LangChain's ChatOpenAI through every route, by chat and by responses."""

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from promises import (
    CANARY, GATEWAY, QUESTION, SAID, SIMULATED, USE_TOOL, USE_TWO_TOOLS, WEATHER_INPUT, WORDS, main, promise,
    received,
)

KINDS = (False, True)


class Weather(BaseModel):
    """The weather."""

    city: str
    days: int


@tool
def get_weather(city: str, days: int) -> str:
    """Tells the weather in a city."""
    return f"18 degrees in {city} for {days} day"


def model(via, use_responses_api, **more):
    return ChatOpenAI(
        base_url=GATEWAY + "/v1", api_key=CANARY, model=via, max_retries=0, max_tokens=64, timeout=60,
        use_responses_api=use_responses_api, **more,
    )


@promise
def it_is_invoked(via):
    for kind in KINDS:
        message = model(via, kind).invoke([("system", "Be brief."), ("user", QUESTION)])
        assert message.text == SAID, message
        assert message.usage_metadata["output_tokens"] == WORDS, message
        assert "Be brief." in received(), received()


@promise
def it_streams(via):
    for kind in KINDS:
        chunks = list(model(via, kind, stream_usage=True).stream(QUESTION))
        assert "".join(chunk.text for chunk in chunks) == SAID, chunks
        total = chunks[0]
        for chunk in chunks[1:]:
            total += chunk
        assert total.usage_metadata["output_tokens"] == WORDS, total


@promise
def its_tools_are_called_and_their_results_taken(via):
    for kind in KINDS:
        bound = model(via, kind).bind_tools([get_weather])
        history = [HumanMessage(USE_TWO_TOOLS)]
        message = bound.invoke(history)
        calls = message.tool_calls
        assert [(call["name"], call["args"]) for call in calls] == [("get_weather", WEATHER_INPUT)] * 2, message
        results = [ToolMessage(get_weather.invoke(call).content, tool_call_id=call["id"]) for call in calls]
        history += [message, *results]
        assert bound.invoke(history).text.startswith("This is tidegate's"), history
        assert f"18 degrees in {SIMULATED}" in received(), received()


@promise
def its_tool_calls_are_streamed(via):
    for kind in KINDS:
        total = None
        for chunk in model(via, kind).bind_tools([get_weather]).stream(USE_TOOL):
            total = chunk if total is None else total + chunk
        assert [(call["name"], call["args"]) for call in total.tool_calls] == [("get_weather", WEATHER_INPUT)], total


@promise
def its_output_is_structured(via):
    for kind in KINDS:
        for method in ("json_schema", "function_calling"):
            answer = model(via, kind).with_structured_output(Weather, method=method).invoke(QUESTION)
            assert answer == Weather(city=SIMULATED, days=1), answer


main("langchain-openai python")
