//! A provider whose every byte is written by the test. It waits for what the client does and never sleeps.

use tidegate::secret::Secret;
use tidegate::upstream::{AuthScheme, Credential, Upstream, UpstreamSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The key that our side is configured with.
pub(crate) const KEY: &str = "sk-canary";
/// A provider whose every byte is written by the test.
pub(crate) struct Provider(pub(crate) TcpListener);

/// One client's connection to it.
pub(crate) struct Connection {
    stream: TcpStream,
    seen: String,
}

impl Provider {
    pub(crate) async fn start() -> Provider {
        Provider(TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port"))
    }

    pub(crate) fn address(&self) -> String {
        self.0.local_addr().expect("a bound socket has an address").to_string()
    }

    pub(crate) fn settings(&self) -> UpstreamSettings {
        let key = Credential { scheme: AuthScheme::Bearer, key: Secret::new(KEY.to_owned()) };
        UpstreamSettings::new(format!("http://{}/v1", self.address()), Some(key))
    }

    pub(crate) fn upstream(&self) -> Upstream {
        Upstream::new(&self.settings()).expect("the settings are good")
    }

    pub(crate) async fn accept(&self) -> Connection {
        let (stream, _) = self.0.accept().await.expect("a client connects");
        Connection { stream, seen: String::new() }
    }

    /// Accepts, reads a head and writes this.
    pub(crate) async fn answer(&self, bytes: &str) -> Connection {
        let mut connection = self.accept().await;
        connection.read_until("\r\n\r\n").await;
        connection.write(bytes).await;
        connection
    }
}

impl Connection {
    /// Everything read up to and including `mark`; what came after it stays for the next read.
    pub(crate) async fn read_until(&mut self, mark: &str) -> String {
        loop {
            if let Some(at) = self.seen.find(mark) {
                let rest = self.seen.split_off(at + mark.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let mut bytes = [0; 4_096];
            let read = self.stream.read(&mut bytes).await.expect("the client is there");
            assert_ne!(read, 0, "closed after {}", self.seen);
            self.seen.push_str(std::str::from_utf8(&bytes[..read]).expect("the tests send text"));
        }
    }

    pub(crate) async fn write(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.expect("the client reads");
    }

    /// Waits until the client has closed, and gives what it still sent.
    pub(crate) async fn closed(mut self) -> String {
        let mut rest = Vec::new();
        // A reset closes as well as an end does.
        let _ = self.stream.read_to_end(&mut rest).await;
        self.seen + &String::from_utf8_lossy(&rest)
    }
}
