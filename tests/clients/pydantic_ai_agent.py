"""Agents of Pydantic AI through every route: with OpenAI's chat and responses, and with Anthropic's messages."""

import asyncio

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from promises import CANARY, GATEWAY, QUESTION, SAID, SIMULATED, USE_TOOL, WORDS, main, promise, received

openai = OpenAIProvider(base_url=GATEWAY + "/v1", api_key=CANARY)
anthropic = AnthropicProvider(base_url=GATEWAY, api_key=CANARY)


class Weather(BaseModel):
    city: str
    days: int


def models(via):
    return (
        OpenAIChatModel(via, provider=openai),
        OpenAIResponsesModel(via, provider=openai),
        AnthropicModel(via, provider=anthropic),
    )


def agent(model, seen=None, **more):
    made = Agent(model, instructions="Be brief.", model_settings={"max_tokens": 256}, retries=0, **more)
    if seen is not None:

        @made.tool_plain
        def get_weather(city: str) -> str:
            """Tells the weather in a city."""
            seen.append(city)
            return "18 degrees"

    return made


async def each(via, check):
    # The SDKs' clients belong to one event loop: all models of a promise are asked in it.
    for model in models(via):
        await check(model)


def held(check):
    """A promise of one model, held with each of the three."""

    def all_of_them(via):
        loop.run_until_complete(each(via, check))

    all_of_them.__name__ = check.__name__
    return promise(all_of_them)


loop = asyncio.new_event_loop()


@held
async def an_agent_answers(model):
    result = await agent(model).run(QUESTION)
    assert result.output == SAID, result
    assert result.usage.output_tokens == WORDS and result.usage.input_tokens > 0, result.usage


@held
async def an_agent_streams(model):
    async with agent(model).run_stream(QUESTION) as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
    assert "".join(pieces) == SAID and len(pieces) > 2, pieces


@held
async def an_agent_uses_its_tool(model):
    seen = []
    result = await agent(model, seen).run(USE_TOOL)
    assert seen == [SIMULATED], seen
    assert result.output.startswith("This is tidegate's"), result
    assert "18 degrees" in received() and "Be brief." in received(), received()


@held
async def an_agent_uses_its_tool_while_streaming(model):
    seen = []
    async with agent(model, seen).run_stream(USE_TOOL) as result:
        output = await result.get_output()
    assert seen == [SIMULATED] and output.startswith("This is tidegate's"), (seen, output)


@held
async def an_agent_gives_an_object(model):
    result = await agent(model, output_type=Weather).run(QUESTION)
    assert result.output == Weather(city=SIMULATED, days=1), result


main("pydantic-ai python")
