//! What rustls leaves to its users.

use std::io;

use rustls::crypto::{CryptoProvider, ring};

use crate::error::ConnectError;

/// Chooses who does the cryptography, unless the program has: rustls panics where nobody has, and two crates bring one
/// each. It is ring, as that needs nothing but a C compiler.
pub(crate) fn choose_provider() {
    if CryptoProvider::get_default().is_none() {
        // Another thread may have been quicker.
        let _ = ring::default_provider().install_default();
    }
}

/// Returns the certificates that the system trusts, as PEM.
///
/// The crate redis would read them itself, for each connection, but does not where a program has its features for
/// native-tls, too; and it fails for a single one that cannot be read.
pub(crate) fn authorities_of_the_system() -> Result<Vec<u8>, ConnectError> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why =
            found.errors.into_iter().next().map_or_else(|| "there are none".to_owned(), |error| error.to_string());
        let error = io::Error::other(format!("no certificates of the system ({why}): give some by tls_ca"));
        return Err(ConnectError::Certificates(error.into()));
    }
    Ok(found.certs.iter().flat_map(|certificate| pem(certificate).into_bytes()).collect())
}

/// Writes a certificate in PEM.
fn pem(certificate: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    // Three bytes are four digits, and 48 bytes a line.
    for line in certificate.chunks(48) {
        for bytes in line.chunks(3) {
            let number = bytes.iter().zip([16, 8, 0]).map(|(byte, shift)| usize::from(*byte) << shift).sum::<usize>();
            for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
                text.push(if at <= bytes.len() { char::from(DIGITS[(number >> shift) % 64]) } else { '=' });
            }
        }
        text.push('\n');
    }
    text + "-----END CERTIFICATE-----\n"
}

#[cfg(test)]
mod tests {
    use super::pem;

    #[test]
    fn a_certificate_in_pem_has_lines_of_base64() {
        let line = |bytes: &[u8]| pem(bytes).lines().nth(1).unwrap().to_owned();
        for (bytes, text) in [("M", "TQ=="), ("Ma", "TWE="), ("Man", "TWFu"), ("Many", "TWFueQ==")] {
            assert_eq!(line(bytes.as_bytes()), text);
        }
        assert_eq!(line(&[0xfb, 0xff, 0xbf]), "+/+/");
        assert_eq!(pem(&[0; 100]).lines().map(str::len).collect::<Vec<_>>(), [27, 64, 64, 8, 25]);
    }
}
