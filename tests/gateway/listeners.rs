//! Connections: how many there may be, and Unix sockets.

use crate::raw::{Raw, assert_well, soon};
use crate::world::{Plan, World};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tidegate::daemon::{Daemon, StartError};
use tidegate::server::{BoundAddress, ListenAddress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

const ASK: &str = "GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn a_connection_too_many_waits_for_its_turn() {
    let world = Plan::new().provider("a").await.set(|s| s.server.connections_max = 2).start().await;
    let (mut first, mut second) = (Raw::connect(&world).await, Raw::connect(&world).await);
    for raw in [&mut first, &mut second] {
        raw.send("GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        assert_eq!(raw.answer().await.unwrap().status, 200);
    }
    let mut third = Raw::connect(&world).await;
    assert!(third.send(ASK).await, "it is connected, but not served");
    let metrics = world.daemon.gateway().metrics().clone();
    soon(async {
        while metrics.accepts_delayed.get() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(metrics.connections_open.get(), 2);
    drop(first);
    assert_eq!(third.answer().await.unwrap().status, 200, "its turn has come");
    drop((second, third));
    assert_well(&world, "sim").await;
    soon(async {
        while metrics.connections_open.get() > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// What a daemon on this socket answers.
async fn ask(path: &Path) -> String {
    let mut stream = soon(UnixStream::connect(path)).await.expect("somebody listens");
    stream.write_all(ASK.as_bytes()).await.expect("it is taken");
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.expect("it is text");
    answer
}

async fn on_socket(path: PathBuf) -> Plan {
    Plan::new().provider("a").await.set(|s| s.server.listen.push(ListenAddress::Unix(path)))
}

async fn started(path: &Path) -> World {
    on_socket(path.to_owned()).await.start().await
}

#[tokio::test]
async fn a_unix_socket_serves_its_owner_alone_and_goes_with_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidegate.sock");
    let world = started(&path).await;
    assert_eq!(world.daemon.addresses()[1], BoundAddress::Unix(path.clone()));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(ask(&path).await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_well(&world, "sim").await;
    assert!(soon(world.daemon.drain()).await);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_that_was_left_behind_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidegate.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a crash leaves it");
    let world = started(&path).await;
    assert!(ask(&path).await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn a_socket_that_is_in_use_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidegate.sock");
    let world = started(&path).await;
    let second = Daemon::start(on_socket(path.clone()).await.settings, Vec::new()).await;
    let error = second.expect_err("the address is taken");
    assert!(matches!(error, StartError::Bind(_)), "{error}");
    assert_eq!(error.exit_code(), 69);
    assert!(error.to_string().contains("tidegate.sock"), "{error}");
    assert!(ask(&path).await.starts_with("HTTP/1.1 200 OK\r\n"), "the first still serves");
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_never_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("precious");
    std::fs::write(&path, "words").unwrap();
    let started = Daemon::start(on_socket(path.clone()).await.settings, Vec::new()).await;
    assert!(matches!(started, Err(StartError::Bind(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "words");
}
