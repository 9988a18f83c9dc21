//! What TLS needs to know beside the address.

use redis::ConnectionInfo;
#[cfg(any(feature = "redis-rustls", feature = "redis-native-tls"))]
use redis::{Client, ClientTlsConfig, ConnectionAddr, ErrorKind, RedisError, TlsCertificates};

use crate::error::ConnectError;

#[cfg(feature = "redis-rustls")]
mod with_rustls;

/// Certificates that were given, as PEM.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Certificates {
    #[cfg(any(feature = "redis-rustls", feature = "redis-native-tls"))]
    pub(crate) authorities: Option<Vec<u8>>,
    /// A certificate and its key.
    #[cfg(any(feature = "redis-rustls", feature = "redis-native-tls"))]
    pub(crate) identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Certificates {
    /// Adds them to what is known of a server.
    #[cfg(not(any(feature = "redis-rustls", feature = "redis-native-tls")))]
    pub(crate) fn add_to(&self, server: ConnectionInfo) -> Result<ConnectionInfo, ConnectError> {
        Ok(server)
    }

    /// Adds them to what is known of a server.
    #[cfg(any(feature = "redis-rustls", feature = "redis-native-tls"))]
    pub(crate) fn add_to(&self, server: ConnectionInfo) -> Result<ConnectionInfo, ConnectError> {
        let refuse = |what: &'static str| {
            Err(ConnectError::Certificates(RedisError::from((ErrorKind::InvalidClientConfig, what))))
        };
        let Self { authorities, identity } = self;
        if !matches!(server.addr(), ConnectionAddr::TcpTls { .. }) {
            return match (authorities, identity) {
                (None, None) => Ok(server),
                _ => refuse("the address does not begin with rediss, so there is no TLS"),
            };
        }
        let begins = |pem: &[u8], what: &str| String::from_utf8_lossy(pem).contains(&format!("-----BEGIN {what}-----"));
        if authorities.as_ref().is_some_and(|pem| !begins(pem, "CERTIFICATE")) {
            return refuse("there is no PEM certificate among the authorities");
        }
        if identity.as_ref().is_some_and(|(certificate, _)| !begins(certificate, "CERTIFICATE")) {
            return refuse("the client's certificate is no PEM certificate");
        }
        if identity.as_ref().is_some_and(|(_, key)| !begins(key, "PRIVATE KEY")) {
            return refuse(
                "the client's key is no PEM key of PKCS #8 (BEGIN PRIVATE KEY); openssl pkcs8 -topk8 makes one",
            );
        }
        #[cfg(feature = "redis-rustls")]
        let authorities = &Some(match authorities {
            Some(pem) => pem.clone(),
            None => with_rustls::authorities_of_the_system()?,
        });
        #[cfg(feature = "redis-rustls")]
        with_rustls::choose_provider();
        let certificates = TlsCertificates {
            client_tls: identity.clone().map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key }),
            root_cert: authorities.clone(),
        };
        let client = Client::build_with_tls(server, certificates).map_err(ConnectError::Certificates)?;
        Ok(client.get_connection_info().clone())
    }
}
