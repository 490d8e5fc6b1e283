//! The program as processes: as the provider, and as the gateway with a store of its own, which may be killed.

use crate::measure::Counts;
use crate::scenario::{FIRST_TOKEN, Knowledge, Scenario, TOKEN, TOKENS_PER_MINUTE};
use reqwest::Client;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tidegate::units::show_duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The label of the second program at the provider.
pub(crate) const SECOND: &str = "second";

/// Fails instead of hanging where the program does not come up.
const START_MAX: Duration = Duration::from_secs(30);

/// A process that listens.
struct Listening {
    child: Child,
    /// `http://HOST:PORT`.
    base: String,
}

impl Listening {
    async fn start(home: &Path, arguments: &[&str]) -> Listening {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", home);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the program can be started");
        let mut said = BufReader::new(child.stderr.take().expect("piped")).lines();
        let until_listening = async {
            while let Ok(Some(line)) = said.next_line().await {
                if let Some((_, base)) = line.split_once("listening on http://") {
                    return format!("http://{base}");
                }
            }
            panic!("the program ended before it listened");
        };
        let base = tokio::time::timeout(START_MAX, until_listening).await.expect("it comes up");
        // What it says later is read too, or a full pipe would stop it.
        tidegate::tasks::Tasks::new()
            .spawn("what is said", async move { while let Ok(Some(_)) = said.next_line().await {} });
        Listening { child, base }
    }

    async fn kill(&mut self) {
        self.child.kill().await.expect("a child of ours can be killed");
    }
}

/// The simulated provider.
pub(crate) struct Provider {
    process: Listening,
    client: Client,
    _home: TempDir,
}

impl Provider {
    pub(crate) async fn start(scenario: &Scenario, client: &Client) -> Provider {
        let home = tempfile::tempdir().expect("a folder can be made");
        let (limit, factor) = (TOKENS_PER_MINUTE.to_string(), scenario.factor.to_string());
        let headers = serde_json::to_value(scenario.headers).expect("a word");
        let arguments = [
            "simulate",
            "--listen",
            "127.0.0.1:0",
            "--requests-per-minute",
            "0",
            "--tokens-per-minute",
            &limit,
            "--count-factor",
            &factor,
            "--limit-headers",
            headers.as_str().expect("a word"),
        ];
        let process = Listening::start(home.path(), &arguments).await;
        let provider = Provider { process, client: client.clone(), _home: home };
        let [first, token] = [FIRST_TOKEN, TOKEN].map(show_duration);
        provider.control(&json!({"faults": {"first_token_delay": first, "token_delay": token}})).await;
        provider
    }

    /// Its base URL for OpenAI's clients.
    pub(crate) fn base(&self) -> String {
        format!("{}/v1", self.process.base)
    }

    /// Halves the limit; what is left of it is halved too.
    pub(crate) async fn halve(&self, scenario: &Scenario) {
        self.control(&json!({"limits": scenario.limits(true), "keep_fill": true})).await;
    }

    /// What it has counted so far.
    pub(crate) async fn counts(&self) -> Counts {
        let stats = self.control(&json!({})).await["stats"].take();
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let second = &stats["by_label"][SECOND];
        Counts {
            charged: number(&stats["tokens_charged"]),
            received: number(&stats["received"]) - number(&second["received"]),
            limited: number(&stats["limited"]) - number(&second["limited"]),
            second_received: number(&second["received"]),
            second_limited: number(&second["limited"]),
        }
    }

    async fn control(&self, change: &Value) -> Value {
        let request = self.client.post(format!("{}/control", self.process.base)).body(change.to_string());
        let answer = request.send().await.expect("the provider runs");
        assert!(answer.status().is_success(), "{change} is refused");
        answer.json().await.expect("its state is JSON")
    }
}

/// The gateway.
pub(crate) struct Gateway {
    process: Listening,
    home: TempDir,
}

impl Gateway {
    pub(crate) async fn start(scenario: &Scenario, provider: &Provider) -> Gateway {
        let home = tempfile::tempdir().expect("a folder can be made");
        let limits = match scenario.knowledge {
            Knowledge::Configured => format!("{{ tokens_per_minute = {TOKENS_PER_MINUTE} }}"),
            Knowledge::NoGateway | Knowledge::Learned => "\"learn\"".to_owned(),
        };
        let text = format!(
            "[store]\npath = \"{}\"\n\n[provider.sim]\nbase_url = \"{}\"\nmodels = [\"sim\"]\n\
             counting = {{ output = \"at_admission\", cached_input = true, gives_back = false }}\n\
             limits = {limits}\n",
            home.path().join("state").display(),
            provider.base()
        );
        std::fs::write(home.path().join("tidegate.toml"), text).expect("the folder can be written");
        let process = Gateway::listen(&home, "127.0.0.1:0").await;
        Gateway { process, home }
    }

    /// Its base URL for OpenAI's clients.
    pub(crate) fn base(&self) -> String {
        format!("{}/v1", self.process.base)
    }

    /// Kills it without a word, and starts it again where it was.
    pub(crate) async fn kill_and_start(&mut self) {
        self.process.kill().await;
        let address = self.process.base.trim_start_matches("http://").to_owned();
        self.process = Gateway::listen(&self.home, &address).await;
    }

    async fn listen(home: &TempDir, address: &str) -> Listening {
        let config = home.path().join("tidegate.toml");
        let config = config.to_str().expect("the folder's name is text");
        Listening::start(home.path(), &["--config", config, "--listen", address]).await
    }
}
