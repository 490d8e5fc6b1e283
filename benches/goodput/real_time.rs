//! A run in real time: clients over sockets, the gateway and the provider as processes of their own.

use crate::client::{Call, REST_AFTER_ERROR, retry_after};
use crate::measure::{Measured, Seen};
use crate::processes::{Gateway, Provider, SECOND};
use crate::prose::prose;
use crate::scenario::{Group, Knowledge, Scenario, TOKENS_PER_MINUTE, Turn};
use futures_util::future::join_all;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use std::time::Duration;
use tidegate::clock::Clock;
use tidegate::units::{Moment, parse_duration};

/// What the second program asks for at a time: little, so that it finds room where others wait for more; a third of the
/// limit in all.
const SECOND_PROMPT: usize = 148;
const SECOND_CAP: u64 = 60;
const SECOND_PAUSE: Duration = Duration::from_millis(100 * 3 * 60_000 / TOKENS_PER_MINUTE.get() as u64);

/// One run of clients.
struct Run<'a> {
    scenario: &'a Scenario,
    client: Client,
    /// Where they send their calls.
    base: String,
    clock: Clock,
    begin: Moment,
    end: Moment,
}

/// Plays a scenario through, and measures it for so long after its beginning.
pub(crate) async fn run(scenario: &Scenario, measured: Duration) -> Measured {
    // The client is built for TLS even where it speaks none; a second installation changes nothing. No certificates are
    // looked for.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().no_proxy().http1_only().tls_certs_only([]).tcp_nodelay(true);
    let client = client.build().expect("a client can be built");
    let provider = Provider::start(scenario, &client).await;
    let mut gateway = match scenario.knowledge {
        Knowledge::NoGateway => None,
        Knowledge::Configured | Knowledge::Learned => Some(Gateway::start(scenario, &provider).await),
    };

    let spent = body(
        &Call {
            prompt_bytes: 20,
            cap: u64::from(TOKENS_PER_MINUTE.get() - scenario.left_at_first()),
            output: 1,
        },
        0,
    );
    let answer = post(&client, &provider.base(), &spent, &[]).await.expect("the provider runs");
    assert!(answer.status().is_success(), "the account is full");

    let clock = Clock::start();
    let begin = clock.now() + scenario.warm_up();
    let base = gateway.as_ref().map_or_else(|| provider.base(), Gateway::base);
    let run = Run { scenario, client, base, clock, begin, end: begin + measured };
    let turn = async {
        run.clock.sleep_until(begin).await;
        let (before, from) = (provider.counts().await, run.clock.now());
        run.clock.sleep_until(begin + measured / 2).await;
        match (scenario.turn, &mut gateway) {
            (Turn::Halved, _) => provider.halve(scenario).await,
            (Turn::Killed, Some(gateway)) => gateway.kill_and_start().await,
            _ => {}
        }
        let turned = run.clock.now();
        run.clock.sleep_until(run.end).await;
        let counts = provider.counts().await.since(before);
        // What the provider may have charged between the two readings, however late they came.
        (counts, scenario.allowed(turned.since(from), run.clock.now().since(from)))
    };
    let second = async {
        if scenario.turn == Turn::SecondProgram {
            run.second(&provider.base()).await;
        }
    };
    let (clients, (counts, allowed), ()) = futures_util::join!(run.everybody(), turn, second);
    // At most a full account; the provider is another process, and is not asked.
    let left = f64::from(TOKENS_PER_MINUTE.get());
    Measured { scenario: scenario.clone(), allowed, left, counts, clients }
}

impl Run<'_> {
    /// All clients until the end, in the order of their numbers.
    async fn everybody(&self) -> Vec<Seen> {
        let groups = self.scenario.groups.iter().enumerate();
        let owners = groups.flat_map(|(index, group)| (0..group.clients).map(move |_| (index, group)));
        join_all((0..).zip(owners).map(|(number, (index, group))| self.client(number, index, group))).await
    }

    /// One client with all its agents.
    async fn client(&self, number: u64, index: usize, group: &Group) -> Seen {
        let agents = (0..).take(group.agents).map(|agent| self.agent(number, agent, group));
        let mut all = Seen { group: index, ..Seen::default() };
        for seen in join_all(agents).await {
            all.tokens += seen.tokens;
            all.errors += seen.errors;
            all.waits.extend(seen.waits);
        }
        all
    }

    /// One call after the other until the time is over. Counts those that end in the measured time.
    async fn agent(&self, number: u64, agent: u64, group: &Group) -> Seen {
        let mut random = fastrand::Rng::with_seed(number << 16 | agent);
        let mut seen = Seen::default();
        while self.clock.now() < self.end {
            let call = Call::draw(group, &mut random);
            let sent = self.clock.now();
            // A call that would end after the end is not waited for.
            let served = async {
                let prompt_tokens = self.persistent(&call, number, group, &mut random).await;
                Some(prompt_tokens)
            };
            let over = async {
                self.clock.sleep_until(self.end).await;
                None
            };
            let Some(served) = first(served, over).await else { break };
            let now = self.clock.now();
            let counts = (self.begin..self.end).contains(&now);
            match served {
                Some(prompt) if counts => {
                    seen.tokens += prompt + call.cap;
                    seen.waits.push(now.since(sent).saturating_sub(call.takes()));
                }
                None => {
                    seen.errors += u64::from(counts);
                    tokio::time::sleep(REST_AFTER_ERROR).await;
                }
                Some(_) => {}
            }
            tokio::time::sleep(group.rest).await;
        }
        seen
    }

    /// Sends a call until it is served or the retries are used up. Gives the prompt's tokens as the provider counted them.
    async fn persistent(
        &self,
        call: &Call,
        number: u64,
        group: &Group,
        random: &mut fastrand::Rng,
    ) -> Option<u64> {
        let body = body(call, number);
        let session = format!("client-{number}");
        let headers =
            [("x-claude-code-session-id", session.as_str()), ("x-tidegate-priority", group.priority.name())];
        for retries in 0.. {
            let mut told = None;
            if let Ok(answer) = post(&self.client, &self.base, &body, &headers).await {
                if answer.status().is_success() {
                    if let Ok(answer) = answer.json::<Value>().await {
                        return answer["usage"]["prompt_tokens"].as_u64();
                    }
                } else if matches!(answer.status().as_u16(), 408 | 409 | 429 | 500..) {
                    told = wait_told(&answer);
                } else {
                    return None;
                }
            }
            tokio::time::sleep(retry_after(retries, told, random)?).await;
        }
        None
    }

    /// Another program with the same account, which takes its third evenly and never asks again.
    async fn second(&self, provider: &str) {
        let call = Call { prompt_bytes: SECOND_PROMPT, cap: SECOND_CAP, output: SECOND_CAP };
        let mut sent = Vec::new();
        let mut next = self.clock.now();
        while next < self.end {
            self.clock.sleep_until(next).await;
            next = next + SECOND_PAUSE;
            let (client, base) = (self.client.clone(), provider.to_owned());
            let body = body(&call, u64::try_from(sent.len()).unwrap_or(u64::MAX));
            sent.push(tidegate::tasks::Tasks::new().spawn("second", async move {
                let _ = post(&client, &base, &body, &[("x-simulator-label", SECOND)]).await;
            }));
        }
    }
}

/// Whichever is done first.
async fn first<T>(one: impl Future<Output = Option<T>>, other: impl Future<Output = Option<T>>) -> Option<T> {
    tokio::select! { done = one => done, done = other => done }
}

/// The body of a call, whose prompt says how long the answer is to be.
fn body(call: &Call, number: u64) -> String {
    let mut prompt = format!("In {} words. ", call.output);
    prompt
        .push_str(&prose(call.prompt_bytes.saturating_sub(prompt.len()), number ^ call.prompt_bytes as u64));
    let user = format!("client-{number}");
    json!({
        "model": "sim", "max_tokens": call.cap, "user": user, "messages": [{"role": "user", "content": prompt}],
    })
    .to_string()
}

async fn post(
    client: &Client,
    base: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> reqwest::Result<Response> {
    let mut request =
        client.post(format!("{base}/chat/completions")).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.to_owned()).send().await
}

/// What an answer says about coming back.
fn wait_told(answer: &Response) -> Option<Duration> {
    let header = |name: &str| answer.headers().get(name)?.to_str().ok();
    match header("retry-after-ms") {
        Some(millis) => parse_duration(&format!("{millis}ms")),
        None => parse_duration(&format!("{}s", header("retry-after")?)),
    }
}
