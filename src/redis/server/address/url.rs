//! Addresses as texts.

use redis::{ErrorKind, RedisError};

/// What an address tells.
pub(crate) enum Url<'a> {
    /// One server: as the crate redis reads it.
    One(&'a str),
    Sentinels(Several, Service),
    Cluster(Several),
}

/// More than one server.
pub(crate) struct Several {
    /// An address of each, as the crate redis reads it.
    pub(crate) servers: Vec<String>,
    tls: bool,
}

/// What sentinels watch over.
pub(crate) struct Service {
    pub(crate) name: String,
    /// An address that has all of its master but the host.
    pub(crate) master: String,
}

impl<'a> Url<'a> {
    pub(crate) fn parse(url: &'a str) -> Result<Self, RedisError> {
        let Some((scheme, rest)) = url.split_once("://") else { return Ok(Self::One(url)) };
        let (base, kind) = match scheme.split_once('+') {
            Some((base @ ("redis" | "rediss"), kind @ ("sentinel" | "cluster"))) => (base, kind),
            _ => return Ok(Self::One(url)),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = path.trim_end_matches('/');
        if url.contains('#') {
            return Err(wrong("nothing may stand behind a #"));
        }
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (format!("{login}@"), hosts),
            None => (String::new(), authority),
        };
        let query = Query::parse(query, kind == "sentinel")?;
        let protocol = &query.protocol;
        let servers = |login: &str, port: u16| {
            let server = |host: &str| match with_port(host.trim(), port) {
                Some(host) => Ok(format!("{base}://{login}{host}/{protocol}")),
                None => Err(wrong("there is a comma without a host beside it")),
            };
            hosts.split(',').map(server).collect::<Result<Vec<_>, _>>()
        };
        let tls = base == "rediss";
        if kind == "cluster" {
            if !matches!(path, "" | "0") {
                // What stands there may be the rest of a password with a slash in it.
                return Err(wrong("a cluster has the database 0 alone"));
            }
            return Ok(Self::Cluster(Several { servers: servers(&login, 6379)?, tls }));
        }
        let (name, database) = path.split_once('/').unwrap_or((path, ""));
        // Those that sentinels take.
        if name.is_empty() || !name.chars().all(|char| char.is_ascii_alphanumeric() || ".-_".contains(char)) {
            return Err(wrong("behind the sentinels the name of the service is missing: …/SERVICE"));
        }
        let servers = servers(&query.sentinel_login()?, 26379)?;
        let master = format!("{base}://{login}master/{database}{protocol}");
        Ok(Self::Sentinels(Several { servers, tls }, Service { name: name.to_owned(), master }))
    }

    pub(crate) fn is_tls(&self) -> bool {
        match self {
            Self::One(url) => ["rediss://", "valkeys://"].iter().any(|scheme| url.starts_with(scheme)),
            Self::Sentinels(several, _) | Self::Cluster(several) => several.tls,
        }
    }
}

#[derive(Default)]
struct Query<'a> {
    /// As it goes on to the crate redis.
    protocol: String,
    username: &'a str,
    password: &'a str,
}

impl<'a> Query<'a> {
    fn parse(query: &'a str, of_sentinels: bool) -> Result<Self, RedisError> {
        let mut parsed = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("protocol", _)) => parsed.protocol = format!("?{pair}"),
                Some(("sentinel_username", value)) if of_sentinels => parsed.username = value,
                Some(("sentinel_password", value)) if of_sentinels => parsed.password = value,
                // Name and value may be pieces of a password with a ? or & in it.
                Some(_) => {
                    return Err(wrong(
                        "known behind the ? are protocol and, of sentinels, sentinel_username and sentinel_password; the ? of \
                         a password is written %3F",
                    ));
                }
                None => return Err(wrong("behind the ? a name has no value")),
            }
        }
        Ok(parsed)
    }

    /// What was escaped there stays so here.
    fn sentinel_login(&self) -> Result<String, RedisError> {
        if self.username.contains(['/', ':', '@']) || self.password.contains(['/', '@']) {
            return Err(wrong("in sentinel_username and sentinel_password, / : and @ must be written %2F %3A and %40"));
        }
        Ok(match (self.username, self.password) {
            ("", "") => String::new(),
            (username, password) => format!("{username}:{password}@"),
        })
    }
}

/// The host with its port, or with this one.
fn with_port(host: &str, port: u16) -> Option<String> {
    let name = host.rsplit_once(']').map_or(host, |(_, behind)| behind);
    match host {
        "" => None,
        _ if name.contains(':') => Some(host.to_owned()),
        _ => Some(format!("{host}:{port}")),
    }
}

fn wrong(what: &'static str) -> RedisError {
    RedisError::from((ErrorKind::InvalidClientConfig, what))
}
