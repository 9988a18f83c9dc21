//! What was written elsewhere and may be of another type: a later release, or another program.

use std::borrow::Cow;
use std::panic::catch_unwind;

use serde::de::{DeserializeOwned, IgnoredAny};

/// Reads what was written elsewhere. That is foreign code: a panic in it must not lose the item.
pub(crate) fn decode<V: DeserializeOwned>(json: &[u8]) -> Result<V, String> {
    match catch_unwind(|| serde_json::from_slice(json)) {
        Ok(read) => read.map_err(|error| without_value(error.to_string())),
        Err(payload) => {
            // Its drop is foreign code, too.
            std::mem::forget(payload);
            Err("reading it panicked".to_owned())
        }
    }
}

/// Leaves out what serde shows of the item: errors go to the log.
fn without_value(error: String) -> String {
    for what in ["invalid type: ", "invalid value: "] {
        if let Some(rest) = error.strip_prefix(what)
            && let Some((found, expected)) = rest.rsplit_once(", expected ")
        {
            let kind = found.split(['"', '`']).next().unwrap_or_default().trim_end();
            return format!("{what}{kind}, expected {expected}");
        }
    }
    error
}

/// Returns a dead letter around an item that cannot be read here: as it is if it is JSON, for those who can read it;
/// else as a text.
pub(crate) fn letter(payload: &[u8], attempts: u32, error: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(payload);
    let is_json = matches!(text, Cow::Borrowed(_)) && serde_json::from_slice::<IgnoredAny>(payload).is_ok();
    let item = if is_json { text } else { quoted(&text).into() };
    let reason = quoted(&format!("cannot be read: {error}"));
    format!(r#"{{"attempts":{attempts},"reason":{reason},"last_worker":"","panic":null,"item":{item}}}"#).into_bytes()
}

/// Returns a text as JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{decode, letter};
    use crate::queue::DeadLetter;

    #[test]
    fn d3_the_letter_of_what_cannot_be_read_has_it_as_it_is() {
        for (payload, item) in [
            (&br#"{"a": [1, "\ud83d\ude00"]}"#[..], json!({"a": [1, "\u{1f600}"]})),
            (b"{\"a\": 1", json!("{\"a\": 1")),
            (b"1 2", json!("1 2")),
            (b"", json!("")),
            (b"\"\xff\"", json!("\"\u{fffd}\"")),
        ] {
            let letter = letter(payload, 3, "with \"quotes\"\n");
            let read: DeadLetter<Value> = decode(&letter).unwrap();
            assert_eq!((read.item, read.attempts), (item, 3), "{}", String::from_utf8_lossy(payload));
            assert_eq!(read.reason, "cannot be read: with \"quotes\"\n");
        }
    }

    #[test]
    fn errors_show_nothing_of_the_item() {
        let error = |json: &str| decode::<u32>(json.as_bytes()).unwrap_err();
        assert_eq!(error(r#""secret, expected none""#), "invalid type: string, expected u32 at line 1 column 23");
        assert_eq!(error("-77"), "invalid value: integer, expected u32 at line 1 column 3");
        assert_eq!(error("[77]"), "invalid type: sequence, expected u32 at line 1 column 0");
    }
}
