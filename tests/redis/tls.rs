//! A queue over TLS: with rustls, or with OpenSSL where `redis-native-tls` alone is on.

use std::process::Command;
use std::{env, fs};

use actix_iterable_queue::error::ConnectError;
use actix_iterable_queue::{IterableQueue, RedisBuilder};
use fleet::eventually;
use futures::executor::block_on;
use support::redis_server::{Server, free_port};

/// A file of `tests/redis/fleet/tls`; `make.sh` there made them all.
fn path(name: &str) -> String {
    format!("{}/fleet/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn file(name: &str) -> Vec<u8> {
    fs::read(path(name)).unwrap()
}

/// With a second port, for TLS, at 127.0.0.1 and no other name.
struct Secured {
    server: Server,
    port: u16,
}

impl Secured {
    fn start(clients: &str) -> Self {
        Self::with(&[&format!("--tls-auth-clients {clients}")])
    }

    fn with(options: &[&str]) -> Self {
        let port = free_port();
        let tls = [
            &format!("--tls-port {port}"),
            &format!("--tls-cert-file {}", path("server.crt")),
            &format!("--tls-key-file {}", path("server.key")),
            &format!("--tls-ca-cert-file {}", path("ca.crt")),
        ];
        Self { server: Server::with(&[options, &tls.map(String::as_str)].concat()), port }
    }

    fn builder(&self) -> RedisBuilder<u64> {
        at(&format!("rediss://127.0.0.1:{}/", self.port))
    }
}

fn at(url: &str) -> RedisBuilder<u64> {
    IterableQueue::builder().name("jobs").redis(url)
}

fn passes_an_item(builder: RedisBuilder<u64>) {
    let queue = builder.blocking_connect().unwrap();
    queue.producer().unwrap().blocking_put(7).unwrap();
    let mut consumer = queue.consumer().unwrap();
    queue.seal();
    assert_eq!(consumer.blocking_get(), Some(7));
}

/// `why` is what rustls says, or OpenSSL.
#[track_caller]
fn refused(builder: RedisBuilder<u64>, why: &[&str]) {
    let error = builder.blocking_connect().unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
    let error = error.to_string();
    assert!(error.contains("tls_ca") && error.contains("tls_identity"), "it says what to do: {error}");
    assert!(why.iter().any(|why| error.contains(why)), "{error}");
}

#[test]
fn a_server_is_trusted_whose_certificate_a_given_authority_has_signed() {
    let secured = Secured::start("no");
    passes_an_item(secured.builder().tls_ca(file("ca.crt")));
    passes_an_item(secured.builder().tls_ca([file("other-ca.crt"), file("ca.crt")].concat()));
    refused(secured.builder().tls_ca(file("other-ca.crt")), &["UnknownIssuer", "certificate verify failed"]);
    let inspected = block_on(secured.builder().inspect()).unwrap_err();
    assert!(matches!(inspected, ConnectError::Tls(_)), "{inspected}");
    refused(secured.builder(), &["UnknownIssuer", "certificate verify failed"]);
    refused(
        at(&format!("rediss://localhost:{}/", secured.port)).tls_ca(file("ca.crt")),
        &["not valid for name", "hostname mismatch"],
    );
}

#[test]
fn a_client_shows_its_certificate() {
    let secured = Secured::start("yes");
    let builder = || secured.builder().tls_ca(file("ca.crt"));
    passes_an_item(builder().tls_identity(file("client.crt"), file("client.key")));
    // The server says why, and hangs up: the system may tell us of the latter alone.
    let hung_up = ["reset", "Broken pipe", "broken pipe"];
    refused(builder(), &[&hung_up[..], &["CertificateRequired", "certificate required"]].concat());
    let expired = builder().tls_identity(file("expired-client.crt"), file("client.key"));
    refused(expired, &[&hung_up[..], &["CertificateExpired", "certificate expired"]].concat());
}

/// A program has the certificates of its system, which both find by this variable.
#[test]
fn without_a_given_authority_those_of_the_system_are_trusted() {
    const ADDRESS: &str = "TLS_ADDRESS";
    if let Ok(url) = env::var(ADDRESS) {
        return passes_an_item(at(&url));
    }
    let secured = Secured::start("no");
    let run = |authorities: &str| {
        let mut program = Command::new(env::current_exe().unwrap());
        program.args(["tls::without_a_given_authority_those_of_the_system_are_trusted", "--exact"]);
        program.env("SSL_CERT_FILE", path(authorities)).env_remove("SSL_CERT_DIR");
        program.env(ADDRESS, format!("rediss://127.0.0.1:{}/", secured.port)).output().unwrap()
    };
    let output = run("ca.crt");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(!run("other-ca.crt").status.success(), "another authority is none of the system's");
}

#[test]
fn sentinels_and_what_they_watch_over_may_be_asked_over_tls() {
    let (master, sentinel) = (Secured::start("no"), Secured::with(&["--sentinel", "--tls-auth-clients no"]));
    let _: () = sentinel.server.ask(&format!("SENTINEL MONITOR main 127.0.0.1 {} 1", master.port));
    let url = format!("rediss+sentinel://127.0.0.1:{}/main", sentinel.port);
    passes_an_item(at(&url).tls_ca(file("ca.crt")));
    let error = at(&url).tls_ca(file("other-ca.crt")).blocking_connect().unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
}

#[test]
fn the_nodes_of_a_cluster_may_be_asked_over_tls() {
    let bus = format!("--cluster-port {}", free_port());
    let node = Secured::with(&["--cluster-enabled yes", "--tls-cluster yes", &bus, "--tls-auth-clients no"]);
    let _: () = node.server.ask("CLUSTER ADDSLOTSRANGE 0 16383");
    eventually("it is a cluster", || node.server.ask::<String>("CLUSTER INFO").contains("cluster_state:ok"));
    passes_an_item(at(&format!("rediss+cluster://127.0.0.1:{}/", node.port)).tls_ca(file("ca.crt")));
}

#[test]
fn certificates_that_are_none_are_refused_before_anybody_connects() {
    let builder = || at("rediss://127.0.0.1:1/");
    for builder in [
        builder().tls_ca("no certificate"),
        builder().tls_ca(file("client.key")),
        builder().tls_ca("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n"),
        builder().tls_identity(file("client.key"), file("client.key")),
        builder().tls_identity(file("client.crt"), file("client.crt")),
        at("redis://127.0.0.1:1/").tls_ca(file("ca.crt")),
    ] {
        let error = builder.blocking_connect().unwrap_err();
        assert!(matches!(error, ConnectError::Certificates(_)), "{error}");
    }
}
