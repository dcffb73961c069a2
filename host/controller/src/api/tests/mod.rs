//! The API, request by request.

mod access;
mod change;
mod description;
mod errors;
mod events;
mod lists;
