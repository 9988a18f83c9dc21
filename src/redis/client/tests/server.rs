//! A Redis of one test.

use std::future::Future;
use std::net::TcpListener;
use std::process::Child;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use harness::redis_server;
use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, Client, FromRedisValue};
use tempfile::TempDir;

pub(crate) struct TestServer {
    process: Child,
    client: Client,
    _folder: TempDir,
}

/// Runs a test with a Redis of its own.
pub(crate) fn with_redis<F: Future<Output = ()>>(test: impl FnOnce(TestServer) -> F) {
    with_redis_like(&[], test);
}

/// The same, with further arguments for the server.
pub(crate) fn with_redis_like<F: Future<Output = ()>>(args: &[&str], test: impl FnOnce(TestServer) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let server = TestServer::start(args).await;
        // Against hangs only.
        tokio::time::timeout(Duration::from_secs(120), test(server)).await.expect("the test ends");
    });
}

impl TestServer {
    async fn start(args: &[&str]) -> Self {
        // Another process may take the port before the server does.
        for _ in 0..10 {
            if let Some(server) = Self::try_start(args).await {
                return server;
            }
        }
        panic!("redis-server does not start");
    }

    async fn try_start(args: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        let (port_arg, dir) = (port.to_string(), folder.path().to_str().expect("a path in UTF-8"));
        let own = ["--port", &port_arg, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", dir];
        let process = redis_server(own.iter().chain(args));
        let client = Client::open(format!("redis://127.0.0.1:{port}/")).expect("an address");
        let mut server = Self { process, client, _folder: folder };
        let patience = Instant::now() + Duration::from_secs(30);
        while Instant::now() < patience && server.process.try_wait().expect("a child").is_none() {
            if server.is_up().await {
                return Some(server);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        None
    }

    /// Whether it is this server that answers.
    async fn is_up(&self) -> bool {
        let Ok(mut connection) = self.client.get_multiplexed_async_connection().await else { return false };
        let info: Result<String, _> = redis::cmd("INFO").arg("server").query_async(&mut connection).await;
        info.is_ok_and(|info| info.lines().any(|line| line == format!("process_id:{}", self.process.id())))
    }

    pub(crate) async fn connect(&self) -> MultiplexedConnection {
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        self.client.get_multiplexed_async_connection_with_config(&config).await.expect("a connection")
    }

    /// What `redis-cli` would do.
    pub(crate) async fn command<V: FromRedisValue>(&self, words: &[&str]) -> V {
        let mut cmd = redis::cmd(words[0]);
        cmd.arg(&words[1..]).query_async(&mut self.connect().await).await.expect("a command")
    }

    /// Listens to channels.
    pub(crate) async fn listen(&self, channels: &[String]) -> PubSub {
        let mut pubsub = self.client.get_async_pubsub().await.expect("a connection");
        pubsub.subscribe(channels).await.expect("subscribed");
        pubsub
    }

    /// All messages that came through a channel so far.
    pub(crate) async fn heard(&self, pubsub: &mut PubSub, channel: &str) -> Vec<String> {
        let () = self.command(&["PUBLISH", channel, "that is all"]).await;
        let texts = pubsub.on_message().map(|message| message.get_payload::<String>().expect("text"));
        until_all(texts).await
    }
}

async fn until_all(texts: impl Stream<Item = String>) -> Vec<String> {
    texts.take_while(|text| std::future::ready(text != "that is all")).collect().await
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
