//! The API, request by request.

mod access;
mod change;
mod description;
mod dry_run;
mod errors;
mod events;
mod lists;
mod secrets;
