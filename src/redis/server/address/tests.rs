use std::time::Duration;

use super::{Address, Certificates, ConnectError, Node, Route};

fn check(url: &str) -> Result<Address, ConnectError> {
    Address::check(url, Certificates::default(), "jobs", "{jobs}".to_owned(), Duration::from_secs(1))
}

/// What is known of a server, in a line.
fn about(address: &Address) -> String {
    let redis = address.server.redis_settings();
    let login = (redis.username().unwrap_or("-"), redis.password().unwrap_or("-"));
    format!("{} {} {} {}", login.0, login.1, Node::of(&address.server), redis.db())
}

#[test]
fn one_server_is_as_the_crate_redis_reads_it() {
    for (url, expected) in [
        ("redis://10.0.0.5/", "- - 10.0.0.5:6379 0"),
        ("redis://me:p%40ss@host:7000/3", "me p@ss host:7000 3"),
        ("valkey://[::1]/", "- - [::1]:6379 0"),
    ] {
        let address = check(url).ok().unwrap();
        assert!(matches!(address.route, Route::Fixed));
        assert_eq!(about(&address), expected, "{url}");
    }
}

#[test]
fn sentinels_and_what_they_watch_over() {
    for (url, master, expected) in [
        ("redis+sentinel://a,b:1,[::1],[::2]:3/main", "- - master:6379 0", "a:26379 b:1 [::1]:26379 [::2]:3 main"),
        ("redis+sentinel://me:p%40ss@a/main/3", "me p@ss master:6379 3", "a:26379 main"),
        ("redis+sentinel://:p@ss@a, b/my-main_1.2/", "- p@ss master:6379 0", "a:26379 b:26379 my-main_1.2"),
    ] {
        let address = check(url).ok().unwrap();
        let Route::Sentinels(sentinels) = &address.route else { panic!("{url}") };
        assert_eq!((about(&address).as_str(), sentinels.told().as_str()), (master, expected), "{url}");
    }
}

#[test]
fn sentinels_have_logins_of_their_own() {
    for (query, expected) in [
        ("", (None, None)),
        ("?sentinel_password=p%26%40ss", (None, Some("p&@ss"))),
        ("?sentinel_username=me&sentinel_password=pass&protocol=resp3", (Some("me"), Some("pass"))),
    ] {
        let address = check(&format!("redis+sentinel://you:secret@a/main{query}")).ok().unwrap();
        let Route::Sentinels(sentinels) = &address.route else { panic!("{query}") };
        assert_eq!(sentinels.login(), expected, "{query}");
    }
}

#[test]
fn nodes_of_a_cluster() {
    for url in ["redis+cluster://me:pass@a,b:1", "redis+cluster://me:pass@a,b:1/", "redis+cluster://me:pass@a,b:1/0"] {
        let address = check(url).ok().unwrap();
        let Route::Cluster(cluster) = &address.route else { panic!("{url}") };
        assert_eq!((about(&address).as_str(), cluster.known().as_str()), ("me pass a:6379 0", "a:6379 b:1"), "{url}");
    }
}

#[test]
fn small_calls_are_sent_at_once() {
    for url in ["redis://a/", "redis+sentinel://a/main", "redis+cluster://a/"] {
        assert!(check(url).ok().unwrap().server.tcp_settings().nodelay(), "{url}");
    }
}

#[test]
fn what_is_no_address_is_told_without_its_password() {
    for (url, why) in [
        ("10.0.0.5", "did not parse"),
        ("http://secret@a/", "did not parse"),
        ("redis+sentinel://:secret@a", "name of the service is missing"),
        ("redis+sentinel://:secret@a/", "name of the service is missing"),
        ("redis+sentinel://:secret@a/m%20n", "name of the service is missing"),
        ("redis+sentinel://:secret@a/main/x", "Invalid database number"),
        ("redis+sentinel://:secret@a,/main", "comma without a host"),
        ("redis+sentinel:///main", "comma without a host"),
        ("redis+sentinel://a/main?sentinel_pass=secret", "known behind the ? are protocol and, of sentinels"),
        ("redis+sentinel://:pass?x&secret=y@a/main", "has no value"),
        ("redis+sentinel://:pass?x=y&secret=z@a/main", "known behind the ? are"),
        ("redis+sentinel://a/main?sentinel_password=pass&secret=z", "known behind the ? are"),
        ("redis+sentinel://a/main?sentinel_password=secret/x", "must be written"),
        ("redis+sentinel://a/main?secret", "has no value"),
        ("redis+cluster://a/?sentinel_password=secret", "known behind the ?"),
        ("redis+cluster://:secret@a/1", "database 0 alone"),
        ("redis+cluster://:pass/secret@a/", "database 0 alone"),
        ("redis+cluster://:secret@a:port/", "did not parse"),
        ("redis+cluster://:secret@a/#insecure", "behind a #"),
        ("redis+sentinels://:secret@a/main", "did not parse"),
    ] {
        let error = check(url).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(why) && !error.contains("secret"), "{url}: {error}");
    }
}

#[cfg(not(any(feature = "redis-rustls", feature = "redis-native-tls")))]
#[test]
fn without_tls_the_features_for_it_are_named() {
    for url in ["rediss://a/", "valkeys://a/", "rediss+sentinel://a/main", "rediss+cluster://a,b/"] {
        let error = check(url).err().unwrap();
        assert!(matches!(error, ConnectError::NoTls), "{url}: {error}");
        let error = error.to_string();
        assert!(error.contains("redis-rustls") && error.contains("redis-native-tls"), "{error}");
    }
}
