//! Hears whoever is attached, always at once: what takes time is done by others.

use fleet_model::exec::{ExecInput, ExecSpec};
use fleet_model::{Error, signal};
use fleet_protocol::bulk::BulkSource;
use fleet_protocol::exec::Inward;

use super::desk::Desk;

/// Hears until nobody is there any more.
///
/// # Errors
/// What cannot be understood or done; it ends the attachment.
pub(super) async fn hear(
    incoming: &mut BulkSource,
    desk: &Desk,
    spec: &ExecSpec,
) -> Result<(), Error> {
    while let Some(Ok(frame)) = incoming.receive().await {
        match Inward::decode(frame)? {
            Inward::Input(at, bytes) => {
                takes_input(spec)?;
                desk.put(at, &bytes)?;
            }
            Inward::InputEnd => {
                takes_input(spec)?;
                desk.end();
            }
            Inward::Seen(offset) => desk.see(offset),
            Inward::Resize(size) => {
                if spec.terminal.is_none() {
                    return Err(Error::invalid(
                        "no-terminal",
                        "the program has no terminal whose size could change: begin it with one (`-t`)",
                    ));
                }
                desk.resize(size);
            }
            Inward::Signal(text) => desk.signal(signal::named(&text)?)?,
        }
    }
    Ok(())
}

fn takes_input(spec: &ExecSpec) -> Result<(), Error> {
    match spec.input {
        ExecInput::Stream => Ok(()),
        ExecInput::Null => Err(Error::conflict(
            "no-input",
            "the program was begun without input: begin it with `input` = `stream` (`-i`)",
        )),
    }
}
