//! What a service manager hears and hands over.

use crate::child::{House, Program, soon};
use serde_json::json;
use std::process::Stdio;
use tokio::net::UnixDatagram;

/// The service manager's end of the line.
struct Listener {
    socket: UnixDatagram,
    heard: String,
}

impl Listener {
    fn new(house: &House) -> Listener {
        let path = house.folder.path().join("notify");
        Listener { socket: UnixDatagram::bind(path).expect("a socket can be bound"), heard: String::new() }
    }

    /// Waits until a line begins so, forgets what came before, and gives its rest.
    async fn hears(&mut self, line: &str) -> String {
        loop {
            let found = self
                .heard
                .lines()
                .enumerate()
                .find_map(|(at, said)| Some((at, said.strip_prefix(line)?.to_owned())));
            if let Some((at, rest)) = found {
                self.heard = self.heard.lines().skip(at + 1).map(|line| format!("{line}\n")).collect();
                return rest;
            }
            let mut message = [0; 4_096];
            let read = soon(self.socket.recv(&mut message)).await.expect("the socket is open");
            let message = std::str::from_utf8(&message[..read]).expect("notifications are text");
            self.heard.push_str(message.trim_end());
            self.heard.push('\n');
        }
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

#[tokio::test]
async fn the_service_manager_hears_of_every_turn_in_its_life() {
    let house = House::new().await;
    house.configure("", "[server]\nlisten = [\"127.0.0.1:0\"]");
    let mut notified = Listener::new(&house);
    let mut command = house.command_after("WATCHDOG_USEC=40000 WATCHDOG_PID=$$");
    command.env("NOTIFY_SOCKET", house.folder.path().join("notify"));
    let program = Program::start(command).await;
    notified.hears("READY=1").await;
    assert_eq!(notified.hears("STATUS=").await, "serving provider sim");
    for _ in 0..3 {
        notified.hears("WATCHDOG=1").await;
    }
    let mut before = 0;
    for text in ["", "[["] {
        house.configure("", text);
        program.signal("HUP").await;
        notified.hears("RELOADING=1").await;
        let at = number(&notified.hears("MONOTONIC_USEC=").await);
        assert!(at > before, "time goes on");
        before = at;
        notified.hears("READY=1").await;
    }
    assert!(notified.hears("STATUS=").await.contains("serving"));
    program.signal("TERM").await;
    notified.hears("STOPPING=1").await;
    assert_eq!(program.ended().await.code, Some(0));
}

#[tokio::test]
async fn a_watchdog_for_another_process_is_not_fed() {
    let house = House::new().await;
    house.configure("", "[server]\nlisten = [\"127.0.0.1:0\"]");
    let mut notified = Listener::new(&house);
    let mut command = house.command_after("WATCHDOG_USEC=1000 WATCHDOG_PID=1");
    command.env("NOTIFY_SOCKET", house.folder.path().join("notify"));
    let program = Program::start(command).await;
    assert_eq!(program.chat("sim", json!({})).send().await.unwrap().status(), 200);
    program.signal("TERM").await;
    notified.hears("READY=1").await;
    let after = notified.hears("STOPPING=1").await;
    assert!(after.is_empty() && !notified.heard.contains("WATCHDOG"), "{}", notified.heard);
    assert_eq!(program.ended().await.code, Some(0));
}

#[tokio::test]
async fn a_service_manager_that_does_not_listen_is_no_reason_to_fail() {
    let house = House::new().await;
    let config = house.config();
    let mut command = house.command(&["--config", config.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    command.env("NOTIFY_SOCKET", house.folder.path().join("nobody"));
    let program = Program::start(command).await;
    assert_eq!(program.chat("sim", json!({})).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn inherited_sockets_are_served_in_the_place_of_the_configured_ones() {
    let house = House::new().await;
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    // Whoever connects before the program runs waits in the socket and is served.
    let early = tidegate::tasks::Tasks::new().spawn("early", async move {
        reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .get(format!("http://{address}/healthz"))
            .send()
            .await
    });
    let mut command = house.command_after("exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$");
    command.stdin(Stdio::from(std::os::fd::OwnedFd::from(socket)));
    let program = Program::start(command).await;
    assert_eq!(program.base, format!("http://{address}"));
    assert_eq!(soon(early).await.unwrap().unwrap().status(), 200);
    assert_eq!(program.chat("sim", json!({})).send().await.unwrap().status(), 200);
    program.signal("TERM").await;
    assert_eq!(program.ended().await.code, Some(0));
}

#[tokio::test]
async fn sockets_for_another_process_are_left_alone() {
    let house = House::new().await;
    house.configure("", "[server]\nlisten = [\"127.0.0.1:0\"]");
    let program = Program::start(house.command_after("LISTEN_FDS=1 LISTEN_PID=1")).await;
    assert_eq!(program.chat("sim", json!({})).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn what_is_inherited_and_is_no_socket_is_told() {
    let house = House::new().await;
    let end =
        Program::spawn(house.command_after("exec 3</dev/null; LISTEN_FDS=1 LISTEN_PID=$$")).ended().await;
    assert_eq!(end.code, Some(71), "{}", end.said);
    assert!(end.said.contains("inherited socket"), "{}", end.said);
}
