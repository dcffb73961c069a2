//! `plugin contract`: every interface this host serves, as a page.

use crate::app::Context;
use crate::failure::Failure;

/// Prints it.
pub(crate) fn run(context: &mut Context) -> Result<(), Failure> {
    context.output.text(&fleet_author::contract::page()?)
}
