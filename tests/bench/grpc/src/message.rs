//! The messages: the records of the host's contract, as far as the measured calls use them.

use std::collections::BTreeMap;

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Op {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(string, tag = "2")]
    pub(crate) item: String,
    #[prost(uint64, tag = "3")]
    pub(crate) generation: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) attempt: u64,
    #[prost(string, tag = "5")]
    pub(crate) verb: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Handle {
    #[prost(uint32, tag = "1")]
    pub(crate) schema: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) opaque: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Inspect {
    #[prost(message, optional, tag = "1")]
    pub(crate) handle: Option<Handle>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Observation {
    #[prost(string, tag = "1")]
    pub(crate) state: String,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) started_at_ms: Option<u64>,
    #[prost(btree_map = "string, string", tag = "3")]
    pub(crate) attributes: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Create {
    #[prost(message, optional, tag = "1")]
    pub(crate) op: Option<Op>,
    #[prost(string, tag = "2")]
    pub(crate) id: String,
    #[prost(string, tag = "3")]
    pub(crate) name: String,
    #[prost(string, tag = "4")]
    pub(crate) node: String,
    #[prost(string, repeated, tag = "5")]
    pub(crate) command: Vec<String>,
    #[prost(btree_map = "string, string", tag = "6")]
    pub(crate) env: BTreeMap<String, String>,
    #[prost(string, tag = "7")]
    pub(crate) config: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Creation {
    #[prost(message, optional, tag = "1")]
    pub(crate) handle: Option<Handle>,
}

/// `grpc.health.v1.HealthCheckRequest`
/// (<https://github.com/grpc/grpc/blob/master/doc/health-checking.md>).
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HealthRequest {
    #[prost(string, tag = "1")]
    pub(crate) service: String,
}

/// `grpc.health.v1.HealthCheckResponse`; 1 is SERVING.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HealthResponse {
    #[prost(int32, tag = "1")]
    pub(crate) status: i32,
}
