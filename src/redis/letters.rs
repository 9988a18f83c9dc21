//! Dead letters, on their way from Redis to those who read them here.

use super::bridge::Bridge;
use super::engine::{Failure, MAX_BATCH};
use super::link::Letter;
use super::payload::Payload;
use super::unreadable::decode;
use crate::one_line::OneLine;
use crate::queue::{DeadLetter, Outgoing, drop_quietly};

/// Reads some, if somebody here reads any. Returns whether there may be more.
pub(super) async fn read_some<T: Payload>(bridge: &Bridge<T>) -> Result<bool, Failure> {
    if !bridge.shared.reads_letters() {
        return Ok(false);
    }
    let letters = bridge.engine.letters(MAX_BATCH).await?;
    for letter in &letters {
        let label = bridge.shared.label();
        match decode::<Letter<T>>(letter) {
            Ok(Letter { item, attempts, reason, last_worker, panic }) => {
                let mut letter = Outgoing::Here(DeadLetter { item, attempts, reason, last_worker, panic });
                bridge.shared.read_letter(&mut letter);
                if let Outgoing::Here(letter) = letter {
                    log::error!("{label}: a dead letter is dropped, because nobody reads them any more: {letter}");
                    drop_quietly(letter.item);
                }
            }
            Err(error) => {
                let (bytes, error) = (letter.len(), OneLine(error));
                log::error!("{label}: a dead letter of {bytes} bytes is dropped, because it cannot be read: {error}");
            }
        }
    }
    Ok(letters.len() == MAX_BATCH)
}

/// Reads all that there are.
pub(super) async fn read_all<T: Payload>(bridge: &Bridge<T>) -> Result<(), Failure> {
    while read_some(bridge).await? {}
    Ok(())
}
