//! HTTP to services of this machine, under a policy.
//!
//! A plugin asks for a name; the operator's grant says where that is and which policy holds. Of a
//! request nothing is sent as it came: it is taken apart, decided on ([`decide()`]), completed with what
//! the policy forces and written anew. What is made belongs to the plugin and the workload it was
//! made for, by the ids the host saw; of an answer only what the policy names passes.
//!
//! `docs/endpoints.md` is the reference of policies. Nothing here knows any service.

mod answer;
mod decide;
mod exchange;
mod facts;
mod framing;
mod job;
mod json;
mod kept;
mod lines;
mod message;
mod opening;
mod owned;
mod pointer;
mod policy;
mod project;
mod request;
mod service;
mod signal;
mod template;
mod trace;
mod transport;
mod verdict;

pub use decide::decide;
pub use facts::{Facts, Owner, Ownership, Terms};
pub use policy::Policy;
pub use request::Request;
pub use service::{Call, EndpointOptions, Endpoints, Response, Target};
pub use trace::Verdicts;
pub use transport::Address;
pub use verdict::{Allowed, Mode, Outgoing, Refused, Why};
