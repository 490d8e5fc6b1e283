//! The program as a child of the test, with a simulated provider in the test itself.
//!
//! Everything is waited for: lines on its standard error, its answers, its end. A child that is left over is
//! killed with the test.

use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tidegate::simulator::{self, Control, SimulatorSettings};
use tidegate::tasks::Tasks;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// Fails instead of hanging where a promise is broken; nothing that holds comes near the bound.
pub(crate) async fn soon<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("it comes to an end")
}

/// A folder with a configuration and a state directory, and a provider to configure.
pub(crate) struct House {
    pub(crate) folder: TempDir,
    pub(crate) provider: Control,
    base_url: String,
    tasks: Tasks,
}

impl House {
    pub(crate) async fn new() -> House {
        House::with(SimulatorSettings::unlimited()).await
    }

    pub(crate) async fn with(behaviour: SimulatorSettings) -> House {
        // The client is built for TLS even where it speaks none; a second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tasks = Tasks::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let simulator = simulator::start(listener, behaviour, &tasks).await.expect("it can listen");
        let folder = tempfile::tempdir().expect("a folder can be made");
        let base_url = simulator.base_url();
        let house = House { folder, provider: simulator.control, base_url, tasks };
        house.configure("", "");
        house
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("tidegate.toml")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state-of-tidegate")
    }

    /// Writes a configuration with these lines more for its provider `sim`, and these sections.
    pub(crate) fn configure(&self, provider: &str, sections: &str) {
        let (state, url) = (self.state(), &self.base_url);
        let text = format!(
            "[store]\npath = \"{}\"\ncheckpoint_every = \"20ms\"\n\n[provider.sim]\nbase_url = \"{url}\"\n\
             models = [\"sim\"]\n{provider}\n\n{sections}\n",
            state.display()
        );
        std::fs::write(self.config(), text).expect("the folder can be written");
    }

    /// Takes the provider away.
    pub(crate) async fn kill_provider(&self) {
        self.tasks.stop().await;
    }

    /// The program with these arguments, in an environment that holds nothing of this machine's.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.args(arguments);
        bare(command, self.folder.path())
    }

    /// The same as a shell runs it after `before`, in which `$$` is the program's own process id.
    pub(crate) fn command_after(&self, before: &str) -> Command {
        let mut command = Command::new("sh");
        let script = format!("{before} exec \"$0\" \"$@\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_tidegate"), "--config"]).arg(self.config());
        bare(command, self.folder.path())
    }

    /// Starts it on a free port, and waits until it serves.
    pub(crate) async fn start(&self) -> Program {
        let config = self.config();
        let config = config.to_str().expect("the folder's name is text");
        Program::start(self.command(&["--config", config, "--listen", "127.0.0.1:0"])).await
    }
}

fn bare(mut command: Command, home: &Path) -> Command {
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", home);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// The program while it runs.
pub(crate) struct Program {
    child: Child,
    pub(crate) client: Client,
    /// `http://HOST:PORT`.
    pub(crate) base: String,
    said: watch::Receiver<String>,
}

/// How it ended, and all that it has said on both of its outputs.
pub(crate) struct End {
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
}

impl Program {
    pub(crate) async fn start(command: Command) -> Program {
        let mut program = Program::spawn(command);
        let said = program.until_said("listening on http://").await;
        let rest = said.split_once("listening on ").expect("it was just seen").1;
        program.base = rest.lines().next().expect("a line has a beginning").to_owned();
        program
    }

    /// Starts it without waiting for anything.
    pub(crate) fn spawn(mut command: Command) -> Program {
        let mut child = command.spawn().expect("the program can be started");
        let (tell, said) = watch::channel(String::new());
        let (out, err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let tasks = Tasks::new();
        tasks.spawn("stdout", listen(out, tell.clone()));
        tasks.spawn("stderr", listen(err, tell));
        let client = Client::builder().no_proxy().build().expect("a client can be built");
        Program { child, client, base: String::new(), said }
    }

    /// Waits until it has said this, and gives all that it has said.
    pub(crate) async fn until_said(&mut self, text: &str) -> String {
        let said = soon(self.said.wait_for(|said| said.contains(text))).await.map(|said| said.clone());
        said.unwrap_or_else(|_| panic!("it ended without saying {text:?}: {}", *self.said.borrow()))
    }

    /// Sends a signal by its name.
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let sent = Command::new("sh").args(["-c", "kill -$0 $1", name, &id]).status().await;
        assert!(sent.expect("a shell can be started").success());
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> End {
        let status = soon(self.child.wait()).await.expect("a child can be waited for");
        // Both readers end with the outputs, and drop what they tell with.
        while soon(self.said.changed()).await.is_ok() {}
        let said = self.said.borrow().clone();
        End { code: status.code(), said }
    }

    pub(crate) fn chat(&self, model: &str, mut more: Value) -> RequestBuilder {
        let mut body = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
        let keys = more.as_object_mut().map(std::mem::take);
        body.as_object_mut().expect("an object").extend(keys.unwrap_or_default());
        self.client.post(format!("{}/v1/chat/completions", self.base)).json(&body)
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        let answer = self.client.get(format!("{}{path}", self.base)).send().await.expect("it answers");
        answer.text().await.expect("text")
    }

    pub(crate) async fn health(&self) -> Value {
        serde_json::from_str(&self.get("/health").await).expect("health is JSON")
    }

    /// Asks for a page until it is so, because nobody tells.
    pub(crate) async fn until(&self, path: &str, condition: impl Fn(&str) -> bool) {
        soon(async {
            while !condition(&self.get(path).await) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

async fn listen(from: impl AsyncRead + Unpin, tell: watch::Sender<String>) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tell.send_modify(|said| {
            said.push_str(&line);
            said.push('\n');
        });
    }
}

/// A header as text; empty if it is not there.
pub(crate) fn header(answer: &Response, name: &str) -> String {
    let value = answer.headers().get(name).map(|value| value.to_str().expect("ours are text"));
    value.unwrap_or_default().to_owned()
}
