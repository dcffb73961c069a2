//! Passes sizes and signals on to the program's backend.

use fleet_model::{Error, ErrorKind};
use tokio::sync::mpsc;

use super::desk::Desk;
use crate::exec::beside::Beside;
use crate::exec::remove;

/// Passes on for as long as somebody is attached. Of several sizes only the newest counts.
///
/// # Errors
/// What the backend says, but for a program that has ended.
pub(super) async fn call(
    beside: &Beside,
    desk: &Desk,
    signals: &mut mpsc::Receiver<&'static str>,
) -> Result<(), Error> {
    let mut size = desk.size.subscribe();
    size.mark_changed();
    loop {
        tokio::select! {
            Ok(()) = size.changed() => {
                let (number, Some(size)) = *size.borrow_and_update() else { continue };
                let resized = beside
                    .driver
                    .resize_exec(&beside.at.item, &beside.handle, beside.known()?, size)
                    .await;
                match resized {
                    Err(error) if error.kind != ErrorKind::NotFound => return Err(error),
                    _ => desk.sized.send_replace(number),
                };
            }
            Some(signal) = signals.recv() => {
                let call = format!("attached:{:032x}", beside.context.entropy.bits());
                match remove::send(beside, &call, signal).await {
                    Err(error) if error.code != remove::OVER => return Err(error),
                    _ => {}
                }
            }
        }
    }
}
