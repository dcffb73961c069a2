//! Requests against a small policy: what is sent for those that pass, and which rule refuses the
//! others, where, and why.

use std::collections::BTreeMap;

use fleet_model::driver::Port;
use fleet_model::{Attempt, Generation, ItemKey, Op, Verb, WorkloadId};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::endpoint::facts::{Owner, Ownership, Terms};

const POLICY: &str = r##"
schema = 1
errors = ["/message"]

[limits]
request_bytes = 1500
depth = 6

[parameters.v]
pattern = 'v1\.[0-9]'

[sorts.thing]
pattern = '[0-9a-f]{32}'

[sorts.part]
pattern = '[0-9a-f]{32}'
parent = "thing"

[[rules]]
name = "make"
method = "POST"
path = "/{v}/things"
effect = "write"
verbs = ["create"]
learn = { sort = "thing", id = "/Id" }
response = { keep = ["/Id"] }
headers = { X-Kind = { one_of = ["a", "b"] }, X-Owner = { force = "{host}" } }
[rules.query]
name = { force = "n-{workload}-{generation}" }
size = { pattern = '[0-9]+' }
[rules.body]
secrets = ["/Env/*"]
force = [
    { at = "/Host/Private", value = false },
    { at = "/Labels/nonce", value = "{nonce}" },
    { at = "/Host/Memory", value = "{limits.memory-bytes:number}" },
    { at = "/Host/Cpu", value = "{limits.cpu-millis*1000:number}", otherwise = -1 },
    { at = "/Host/Mounts/*/Source", value = "{workspace}" },
    { at = "/Ports", each = "ports", key = "{port.inside}/tcp", value = [{ Ip = "127.0.0.1", Port = "{port.host}" }] },
    { at = "/List", each = "ports", value = "{port.host:number}" },
]
[rules.body.schema]
type = "object"
additionalProperties = false
required = ["Image"]
[rules.body.schema.properties]
Image = { type = "string", maxLength = 20 }
Env = { type = "array", maxItems = 4, items = { type = "string", maxLength = 2000 } }
Labels = { type = "object", additionalProperties = false, maxProperties = 2, patternProperties = { "^[a-m]{1,5}$" = { type = "string", maxLength = 9 } } }
[rules.body.schema.properties.Host]
type = "object"
additionalProperties = false
[rules.body.schema.properties.Host.properties]
Memory = { type = "integer", minimum = 0 }
Init = { type = "boolean" }
Mounts = { type = "array", maxItems = 1, items = { type = "object", additionalProperties = false, required = ["Target"], properties = { Target = { type = "string", pattern = "^/[a-z]+$" } } } }

[[rules]]
name = "look"
method = "GET"
path = "/{v}/things/{id}/json"
effect = "read"
parameters = { id = { owned = "thing" } }
response = { keep = [""] }

[[rules]]
name = "adopt"
method = "GET"
path = "/{v}/things/{id}/json"
effect = "write"
parameters = { id = { pattern = '[0-9a-f]{32}' } }
adopt = { sort = "thing", id = "/Id", when = [{ at = "/Labels/nonce", equals = "{nonce}" }] }
response = { keep = [""] }

[[rules]]
name = "end"
method = "POST"
path = "/{v}/things/{id}/end"
effect = "write"
parameters = { id = { owned = "thing" } }

[[rules]]
name = "list"
method = "GET"
path = "/{v}/things"
effect = "read"
response = { keep = [""] }
[rules.query]
filters = { force_json = { label = ["host={host}"] } }
all = { one_of = ["0", "1"], required = true }

[[rules]]
name = "image"
method = "GET"
path = "/{v}/images/{name...}/json"
effect = "read"
parameters = { name = { pattern = '[a-z0-9:/.-]+', not = 'local/.*' } }
response = { keep = [""] }

[[rules]]
name = "events"
method = "GET"
path = "/{v}/events"
effect = "read"
stream = { direction = "out", output = "lines" }
[rules.query]
of = { owned = "thing", required = true, send = false }
filters = { force_json = { thing = ["{query.of}"] } }

[[rules]]
name = "talk"
method = "POST"
path = "/{v}/parts/{id}/start"
effect = "write"
verbs = ["exec"]
parameters = { id = { owned = "part" } }
stream = { direction = "both", upgrade = "tcp", output = "bytes", keep = true }
"##;

const OURS: &str = "0123456789abcdef0123456789abcdef";
const OTHERS: &str = "ffffffffffffffffffffffffffffffff";
const PART: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn policy() -> Policy {
    Policy::parse("test.toml", POLICY).unwrap()
}

fn workload() -> String {
    WorkloadId::new(1, 2).to_string()
}

struct Ours;

impl Ownership for Ours {
    fn owner(&self, sort: &str, id: &str) -> Option<Owner> {
        let owner = |workload: String, parent: Option<&str>| {
            Some(Owner {
                workload,
                parent: parent.map(str::to_owned),
            })
        };
        match (sort, id) {
            ("thing", OURS) => owner(workload(), None),
            ("thing", PART) => owner("wl_other".to_owned(), None),
            ("part", PART) => owner(workload(), Some(OURS)),
            _ => None,
        }
    }
}

struct Ask<'a> {
    policy: &'a Policy,
    verb: Option<Verb>,
    terms: Option<Terms>,
    workspace: Option<&'a str>,
}

impl<'a> Ask<'a> {
    fn under(policy: &'a Policy, verb: Option<Verb>) -> Self {
        Self {
            policy,
            verb,
            terms: None,
            workspace: Some("/data/w"),
        }
    }

    fn creating(policy: &'a Policy) -> Self {
        Self {
            terms: Some(Terms {
                node: "nd_1".to_owned(),
                ports: vec![port(80, 3_000), port(0, 3_001), port(80, 3_002)],
                ..Terms::default()
            }),
            ..Self::under(policy, Some(Verb::Create))
        }
    }

    fn decide(&self, mode: Mode, request: &Request) -> Result<Allowed<'a>, Refused> {
        let op = self.verb.map(|verb| Op {
            item: ItemKey::workload(WorkloadId::new(1, 2)),
            generation: Generation(3),
            attempt: Attempt(1),
            verb,
            call: String::new(),
        });
        let plugin = "p".parse().unwrap();
        let facts = Facts {
            host: "h0",
            plugin: &plugin,
            op: op.as_ref(),
            nonce: op.as_ref().map(|_| "n0"),
            terms: self.terms.as_ref(),
            workspace: self.workspace,
            owned: &Ours,
        };
        decide(self.policy, &facts, mode, request)
    }
}

fn port(inside: u16, host: u16) -> Port {
    Port {
        name: "p".parse().unwrap(),
        inside,
        host,
    }
}

fn make(body: impl ToString) -> Request {
    Request::new("POST", "/v1.4/things").body(body)
}

#[test]
fn what_is_sent_is_what_was_validated_and_what_is_forced() {
    let policy = policy();
    let mut ask = Ask::creating(&policy);
    let body = json!({
        "Image": "a", "Env": ["A=1"], "Labels": {"k": "v"},
        "Host": {"Memory": 5, "Init": true, "Mounts": [{"Target": "/work"}]}
    });
    let request = make(&body).query("size", "7").header("x-kind", "a");
    let sent = ask.decide(Mode::Send, &request).unwrap().outgoing;
    let name = format!("n-{}-3", workload());
    assert_eq!(sent.target(), format!("/v1.4/things?name={name}&size=7"));
    assert_eq!(
        sent.headers,
        [
            ("x-kind".to_owned(), "a".to_owned()),
            ("x-owner".to_owned(), "h0".to_owned())
        ]
    );
    let one = |port: &str| json!({"Ip": "127.0.0.1", "Port": port});
    assert_eq!(
        sent.body.unwrap(),
        json!({
            "Image": "a", "Env": ["A=1"], "Labels": {"k": "v", "nonce": "n0"},
            "Host": {"Init": true, "Private": false, "Cpu": -1, "Mounts": [{"Target": "/work", "Source": "/data/w"}]},
            "Ports": {"80/tcp": [one("3000"), one("3002")], "3001/tcp": [one("3001")]},
            "List": [3_000, 3_001, 3_002],
        }),
        "the plugin's own limit is gone where the workload has none"
    );
    let terms = ask.terms.as_mut().unwrap();
    terms.ports.clear();
    terms.limits = serde_json::from_value(json!({"memory": "1MiB", "cpu": 0.5})).unwrap();
    let sent = ask
        .decide(Mode::Send, &make(json!({"Image": "a"})))
        .unwrap();
    assert_eq!(
        sent.outgoing.body.unwrap(),
        json!({
            "Image": "a", "Labels": {"nonce": "n0"}, "Ports": {}, "List": [],
            "Host": {"Private": false, "Memory": 1_048_576, "Cpu": 500_000},
        })
    );
}

#[test]
fn what_passes_names_its_rule_and_what_it_is_about() {
    let policy = policy();
    let look = Request::new("GET", &format!("/v1.4/things/{OURS}/json"));
    let foreign = Request::new("GET", &format!("/v1.4/things/{OTHERS}/json"));
    let talk = Request::new("POST", &format!("/v1.4/parts/{PART}/start"));
    let events = Request::new("GET", "/v1.4/events").query("of", OURS);
    for (verb, mode, request, rule, target) in [
        (
            None,
            Mode::Get,
            look.clone(),
            "look",
            format!("/v1.4/things/{OURS}/json"),
        ),
        (
            Some(Verb::Create),
            Mode::Get,
            look,
            "look",
            format!("/v1.4/things/{OURS}/json"),
        ),
        (
            Some(Verb::Create),
            Mode::Send,
            foreign,
            "adopt",
            format!("/v1.4/things/{OTHERS}/json"),
        ),
        (
            Some(Verb::Exec),
            Mode::Open,
            talk.clone(),
            "talk",
            format!("/v1.4/parts/{PART}/start"),
        ),
        (
            None,
            Mode::Open,
            talk,
            "talk",
            format!("/v1.4/parts/{PART}/start"),
        ),
        (
            None,
            Mode::Open,
            events,
            "events",
            format!("/v1.4/events?filters=%7B%22thing%22%3A%5B%22{OURS}%22%5D%7D"),
        ),
        (
            None,
            Mode::Get,
            Request::new("GET", "/v1.4/things").query("all", "1"),
            "list",
            "/v1.4/things?all=1&filters=%7B%22label%22%3A%5B%22host%3Dh0%22%5D%7D".to_owned(),
        ),
        (
            None,
            Mode::Get,
            Request::new("GET", "/v1.4/images/lib/box:1/json"),
            "image",
            "/v1.4/images/lib/box:1/json".to_owned(),
        ),
    ] {
        let allowed = Ask::under(&policy, verb).decide(mode, &request).unwrap();
        assert_eq!((allowed.rule(), allowed.outgoing.target()), (rule, target));
    }
    let talk = Request::new("POST", &format!("/v1.4/parts/{PART}/start"));
    let allowed = Ask::under(&policy, None).decide(Mode::Open, &talk).unwrap();
    assert_eq!(allowed.parent.as_deref(), Some(OURS));
}

/// A plugin takes what is not owned for gone: nothing else may look like it.
#[test]
fn only_what_nobody_owns_is_said_not_to_be_owned() {
    let policy = policy();
    let look = |path: &str| Request::new("GET", path);
    let end = Request::new("POST", &format!("/v1.4/things/{PART}/end"));
    let unknown = look("/v1.4/events").query("of", OTHERS);
    let thing = |version: &str, id: &str| look(&format!("/{version}/things/{id}/json"));
    for (verb, mode, request, at, why) in [
        (
            None,
            Mode::Get,
            thing("v1.4", OTHERS),
            "path.id",
            Why::NotOwned,
        ),
        (None, Mode::Open, unknown, "query.of", Why::NotOwned),
        (
            None,
            Mode::Get,
            thing("v1.4", &OURS[1..]),
            "path.id",
            Why::Rule,
        ),
        (None, Mode::Get, thing("v2.4", OURS), "path.v", Why::Rule),
        (Some(Verb::Kill), Mode::Send, end, "path.id", Why::Rule),
        (None, Mode::Get, look("/v1.4/none"), "path", Why::NoRule),
    ] {
        let refused = Ask::under(&policy, verb)
            .decide(mode, &request)
            .unwrap_err();
        assert_eq!((refused.at.as_str(), refused.why), (at, why), "{request:?}");
        let plugin = "p".parse().unwrap();
        let error = refused.error(&plugin, &plugin);
        let said = error
            .details
            .get("why")
            .is_some_and(|why| why == "not-owned");
        assert_eq!(said, why == Why::NotOwned, "{error}");
    }
}

/// The verb of the op, how it is asked, what, the rule that refuses it, and at what.
type Row<'a> = (Option<Verb>, Mode, Request, Option<&'a str>, &'a str);

#[test]
fn every_trick_is_refused_by_the_rule_it_is_played_on() {
    let policy = policy();
    let create = Some(Verb::Create);
    let good = json!({"Image": "a"});
    let of = |path: &str| Request::new("GET", path);
    let long = "x".repeat(1_400);
    let thing = |id: &str| of(&format!("/v1.4/things/{id}/json"));
    let end = |id: &str| Request::new("POST", &format!("/v1.4/things/{id}/end"));
    let rows: Vec<Row<'_>> = vec![
        // Paths.
        (None, Mode::Get, of("/v1.4//things"), None, "path"),
        (None, Mode::Get, of("/v1.4/things/"), None, "path"),
        (None, Mode::Get, of("//v1.4/things"), None, "path"),
        (None, Mode::Get, of("/v1.4/../v1.4/things"), None, "path"),
        (None, Mode::Get, of("/v1.4/%2e%2e/things"), None, "path"),
        (None, Mode::Get, of("/v1.4/%74hings"), None, "path"),
        (None, Mode::Get, of("/v1.4/things;x"), None, "path"),
        (None, Mode::Get, of("/v1.4\\things"), None, "path"),
        (None, Mode::Get, of("/v1.4/things?all=1"), None, "path"),
        (None, Mode::Get, of("/v1.4/things\r\nHost: x"), None, "path"),
        (
            None,
            Mode::Get,
            of("http://other/v1.4/things"),
            None,
            "path",
        ),
        (None, Mode::Get, of("/things"), None, "path"),
        (None, Mode::Get, of("/v1.4/Things"), None, "path"),
        (
            None,
            Mode::Get,
            of("/v2.4/things").query("all", "1"),
            Some("list"),
            "path.v",
        ),
        (
            None,
            Mode::Get,
            of("/v1.44/things").query("all", "1"),
            Some("list"),
            "path.v",
        ),
        (None, Mode::Get, of("/v1.4/images/a%2fb/json"), None, "path"),
        (
            None,
            Mode::Get,
            of("/v1.4/images/A/json"),
            Some("image"),
            "path.name",
        ),
        (
            None,
            Mode::Get,
            of("/v1.4/images/local/a/json"),
            Some("image"),
            "path.name",
        ),
        (
            None,
            Mode::Get,
            of("/v1.4/images/a\u{85}/json"),
            None,
            "path",
        ),
        // Methods and calls.
        (
            create,
            Mode::Send,
            Request::new("post", "/v1.4/things").body(&good),
            None,
            "method",
        ),
        (
            create,
            Mode::Send,
            Request::new("PUT", "/v1.4/things").body(&good),
            None,
            "path",
        ),
        (
            create,
            Mode::Send,
            Request::new("", "/v1.4/things").body(&good),
            None,
            "method",
        ),
        (
            create,
            Mode::Send,
            Request::new("POST /x HTTP/1.1\r\n", "/v1.4/things"),
            None,
            "method",
        ),
        (create, Mode::Get, make(&good), Some("make"), "call"),
        (create, Mode::Open, make(&good), Some("make"), "call"),
        (None, Mode::Send, make(&good), Some("make"), "op"),
        (
            Some(Verb::Start),
            Mode::Send,
            make(&good),
            Some("make"),
            "op",
        ),
        (
            Some(Verb::Stop),
            Mode::Open,
            Request::new("POST", &format!("/v1.4/parts/{PART}/start")),
            Some("talk"),
            "op",
        ),
        // Others' things.
        (None, Mode::Get, thing(OTHERS), Some("look"), "path.id"),
        (None, Mode::Get, thing(&OURS[..12]), Some("look"), "path.id"),
        (
            None,
            Mode::Get,
            thing(&OURS.to_uppercase()),
            Some("look"),
            "path.id",
        ),
        (None, Mode::Get, thing("name"), Some("look"), "path.id"),
        (
            None,
            Mode::Get,
            thing(&format!("{OURS}0")),
            Some("look"),
            "path.id",
        ),
        (
            Some(Verb::Kill),
            Mode::Send,
            end(PART),
            Some("end"),
            "path.id",
        ),
        (
            Some(Verb::Kill),
            Mode::Send,
            end(OTHERS),
            Some("end"),
            "path.id",
        ),
        (
            None,
            Mode::Open,
            of("/v1.4/events"),
            Some("events"),
            "query.of",
        ),
        (
            None,
            Mode::Open,
            of("/v1.4/events").query("of", OTHERS),
            Some("events"),
            "query.of",
        ),
        // Queries.
        (
            None,
            Mode::Get,
            of("/v1.4/things"),
            Some("list"),
            "query.all",
        ),
        (
            None,
            Mode::Get,
            of("/v1.4/things").query("all", "2"),
            Some("list"),
            "query.all",
        ),
        (
            None,
            Mode::Get,
            of("/v1.4/things").query("All", "1"),
            Some("list"),
            "query.All",
        ),
        (
            None,
            Mode::Get,
            of("/v1.4/things").query("all", "1").query("all", "1"),
            Some("list"),
            "query.all",
        ),
        (
            None,
            Mode::Get,
            of("/v1.4/things").query("all", "1").query("filters", "{}"),
            Some("list"),
            "query.filters",
        ),
        (
            None,
            Mode::Get,
            of("/v1.4/things").query("all", "1\r\nX: y"),
            Some("list"),
            "query.all",
        ),
        (
            None,
            Mode::Get,
            of("/v1.4/things").query("all", "1").query("a&b", "1"),
            Some("list"),
            "query.a&b",
        ),
        (
            create,
            Mode::Send,
            make(&good).query("size", "7\n"),
            Some("make"),
            "query.size",
        ),
        (
            create,
            Mode::Send,
            make(&good).query("size", "x7"),
            Some("make"),
            "query.size",
        ),
        (
            create,
            Mode::Send,
            make(&good).query("name", "other"),
            Some("make"),
            "query.name",
        ),
        // Headers.
        (
            create,
            Mode::Send,
            make(&good).header("Transfer-Encoding", "chunked"),
            Some("make"),
            "header.transfer-encoding",
        ),
        (
            create,
            Mode::Send,
            make(&good).header("CONTENT-LENGTH", "0"),
            Some("make"),
            "header.content-length",
        ),
        (
            create,
            Mode::Send,
            make(&good).header("Host", "x"),
            Some("make"),
            "header.host",
        ),
        (
            create,
            Mode::Send,
            make(&good).header("Connection", "Upgrade"),
            Some("make"),
            "header.connection",
        ),
        (
            create,
            Mode::Send,
            make(&good).header("Upgrade", "tcp"),
            Some("make"),
            "header.upgrade",
        ),
        (
            create,
            Mode::Send,
            make(&good).header("X-Auth", "x"),
            Some("make"),
            "header.x-auth",
        ),
        (
            create,
            Mode::Send,
            make(&good).header("X-Owner", "me"),
            Some("make"),
            "header.x-owner",
        ),
        (
            create,
            Mode::Send,
            make(&good).header("X-Kind", "c"),
            Some("make"),
            "header.x-kind",
        ),
        (
            create,
            Mode::Send,
            make(&good).header("X-Kind", "a\r\nX-Auth: b"),
            Some("make"),
            "header.x-kind",
        ),
        (
            create,
            Mode::Send,
            make(&good).header("X-Kind\r\nX-Auth", "a"),
            Some("make"),
            "header.x-kind??x-auth",
        ),
        (
            create,
            Mode::Send,
            make(&good).header("x-kind", "a").header("X-Kind", "a"),
            Some("make"),
            "header.x-kind",
        ),
        (
            create,
            Mode::Send,
            make(&good).header("X-Kind", " a"),
            Some("make"),
            "header.x-kind",
        ),
        // Bodies.
        (
            create,
            Mode::Send,
            Request::new("POST", "/v1.4/things"),
            Some("make"),
            "body",
        ),
        (create, Mode::Send, make(""), Some("make"), "body"),
        (create, Mode::Send, make("[]"), Some("make"), "body"),
        (
            create,
            Mode::Send,
            make("{\"Image\":\"a\"}{}"),
            Some("make"),
            "body",
        ),
        (
            create,
            Mode::Send,
            make("{\"Image\":\"a\",\"Image\":\"b\"}"),
            Some("make"),
            "body",
        ),
        (
            create,
            Mode::Send,
            make("{\"Image\":\"a\",\"Host\":{},\"Host\":{}}"),
            Some("make"),
            "body",
        ),
        (
            create,
            Mode::Send,
            make("{\"Image\":\"a\",\"Host\":{\"Init\":true,\"\\u0049nit\":true}}"),
            Some("make"),
            "body",
        ),
        (
            create,
            Mode::Send,
            make(json!({"image": "a"})),
            Some("make"),
            "body",
        ),
        (
            create,
            Mode::Send,
            make(json!({"Image": "a", "host": {}})),
            Some("make"),
            "body",
        ),
        (
            create,
            Mode::Send,
            make(json!({"Image": "a", "Privileged": true})),
            Some("make"),
            "body",
        ),
        (
            create,
            Mode::Send,
            make(json!({"Image": "a", "Host": {"Private": true}})),
            Some("make"),
            "body/Host",
        ),
        (
            create,
            Mode::Send,
            make(json!({"Image": "a", "Host": {"init": true}})),
            Some("make"),
            "body/Host",
        ),
        (
            create,
            Mode::Send,
            make(json!({"Image": ["a"]})),
            Some("make"),
            "body/Image",
        ),
        (
            create,
            Mode::Send,
            make(json!({"Image": "a", "Host": {"Init": "true"}})),
            Some("make"),
            "body/Host/Init",
        ),
        (
            create,
            Mode::Send,
            make(json!({"Image": "a", "Host": null})),
            Some("make"),
            "body/Host",
        ),
        (
            create,
            Mode::Send,
            make(json!({"Image": "a", "Host": {"Mounts": [{"Target": "/w", "Source": "/"}]}})),
            Some("make"),
            "body/Host/Mounts/0",
        ),
        (
            create,
            Mode::Send,
            make(json!({"Image": "a", "Host": {"Mounts": [{"Target": "/../w"}]}})),
            Some("make"),
            "body/Host/Mounts/0/Target",
        ),
        (
            create,
            Mode::Send,
            make(json!({"Image": "a", "Host": {"Mounts": [{"Target": "/w\n"}]}})),
            Some("make"),
            "body/Host/Mounts/0/Target",
        ),
        (
            create,
            Mode::Send,
            make(json!({"Image": "a", "Labels": {"k\n": "v"}})),
            Some("make"),
            "body/Labels",
        ),
        (
            create,
            Mode::Send,
            make(json!({"Image": "a", "Host": {"Mounts": [{"Target": "/w"}, {"Target": "/x"}]}})),
            Some("make"),
            "body/Host/Mounts",
        ),
        (
            create,
            Mode::Send,
            make(json!({"Image": "a", "Labels": {"nonce": "x"}})),
            Some("make"),
            "body/Labels",
        ),
        (
            create,
            Mode::Send,
            make(json!({"Image": "a", "Labels": {"a": "1", "b": "1", "c": "1"}})),
            Some("make"),
            "body/Labels",
        ),
        (
            create,
            Mode::Send,
            make(json!({"Image": "a", "Env": [[[[[["x"]]]]]]})),
            Some("make"),
            "body",
        ),
        (
            create,
            Mode::Send,
            make(json!({"Image": "a", "Env": ["x".repeat(1_500)]})),
            Some("make"),
            "body",
        ),
        // It fits alone, and not with what is forced.
        (
            create,
            Mode::Send,
            make(json!({"Image": "a", "Env": [long]})),
            Some("make"),
            "body",
        ),
        (
            None,
            Mode::Get,
            thing(OURS).body("{}"),
            Some("look"),
            "body",
        ),
    ];
    assert!(rows.len() > 60);
    for (verb, mode, request, rule, at) in rows {
        let ask = if verb == create {
            Ask::creating(&policy)
        } else {
            Ask::under(&policy, verb)
        };
        let refused = match ask.decide(mode, &request) {
            Err(refused) => refused,
            Ok(allowed) => panic!("{request:?} passed by {}", allowed.rule()),
        };
        assert_eq!(
            (refused.rule.as_deref(), refused.at.as_str()),
            (rule, at),
            "{request:?}: {refused:?}"
        );
        assert!(!refused.reason.is_empty() && !refused.allowed.is_empty());
        let error = refused.error(&"p".parse().unwrap(), &"e".parse().unwrap());
        assert_eq!(
            error.code,
            if rule.is_some() {
                "refused-by-rule"
            } else {
                "no-rule"
            }
        );
    }
}

#[test]
fn what_a_workload_would_have_is_not_made_up() {
    let policy = policy();
    let refused = Ask::under(&policy, Some(Verb::Create))
        .decide(
            Mode::Send,
            &make(json!({"Image": "a", "Host": {"Mounts": [{"Target": "/w"}]}})),
        )
        .unwrap_err();
    assert_eq!(
        refused.at, "body/Host/Memory",
        "no limit is known to be none"
    );
    let mut ask = Ask::creating(&policy);
    ask.workspace = None;
    let refused = ask
        .decide(
            Mode::Send,
            &make(json!({"Image": "a", "Host": {"Mounts": [{"Target": "/w"}]}})),
        )
        .unwrap_err();
    assert_eq!(refused.at, "body/Host/Mounts/*/Source");
}

const ODD: &str = r#"
schema = 1
[[rules]]
name = "make"
method = "POST"
path = "/things"
effect = "write"
verbs = ["create"]
headers = { X-Name = { force = "{name}" } }
[rules.query]
a = { pattern = '(?s).*' }
b = { pattern = '(?s).*' }
cpu = { force_json = "{limits.cpu-millis*18446744073709551615:number}", optional_facts = true }
[rules.body]
optional = true
schema = { type = "object", additionalProperties = false, properties = { a = { type = "boolean" } } }
force = [{ at = "/memory", value = "{limits.memory-bytes*18446744073709551615:number}", otherwise = 0 }]

[[rules]]
name = "needs"
method = "POST"
path = "/needs"
effect = "write"
[rules.body]
optional = true
schema = { type = "object", additionalProperties = false, required = ["a"], properties = { a = { type = "boolean" } } }
"#;

#[test]
fn what_does_not_fit_is_refused_and_not_left_out() {
    let policy = Policy::parse("odd.toml", ODD).unwrap();
    let mut ask = Ask::creating(&policy);
    let request = || Request::new("POST", "/things");
    let sent = ask.decide(Mode::Send, &request()).unwrap().outgoing;
    assert_eq!(sent.target(), "/things");
    assert_eq!(sent.body, Some(json!({"memory": 0})));
    let mut refused = |change: &dyn Fn(&mut Terms), request: Request| {
        let mut terms = Terms::default();
        change(&mut terms);
        ask.terms = Some(terms);
        ask.decide(Mode::Send, &request).unwrap_err().at
    };
    let limits = |text: Value| serde_json::from_value(text).unwrap();
    let cpu = |terms: &mut Terms| terms.limits = limits(json!({"cpu": 0.5}));
    let memory = |terms: &mut Terms| terms.limits = limits(json!({"memory": "1MiB"}));
    let name = |terms: &mut Terms| terms.name = "\u{e4}".to_owned();
    let line = |terms: &mut Terms| terms.name = "a\r\nX-Auth: b".to_owned();
    assert_eq!(refused(&cpu, request()), "query.cpu");
    assert_eq!(refused(&memory, request()), "body/memory");
    assert_eq!(refused(&name, request()), "header.x-name");
    assert_eq!(refused(&line, request()), "header.x-name");
    let long = "%".repeat(6_000);
    let large = request().query("a", &long).query("b", &long);
    assert_eq!(refused(&|_| {}, large), "path");
    assert_eq!(
        refused(&|_| {}, Request::new("POST", "/needs")),
        "body",
        "what is not given must be valid too"
    );
    let blind = Ask::under(&policy, Some(Verb::Create));
    let at = blind.decide(Mode::Send, &request()).unwrap_err().at;
    assert_eq!(at, "query.cpu", "no limit is known to be none");
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("/v1.4/things".to_owned()),
        Just(format!("/v1.4/things/{OURS}/json")),
        Just("{\"Image\":\"a\"}".to_owned()),
        "[ -~\\r\\n%]{0,30}",
        ".{0,20}",
        "(/[a-z%.0-9]{0,8}){1,5}",
    ]
}

proptest! {
    #[test]
    fn no_request_makes_it_panic_and_what_passes_is_in_the_hosts_words(
        method in prop_oneof![Just("GET".to_owned()), Just("POST".to_owned()), any_text()],
        path in any_text(),
        query in prop::collection::vec((prop_oneof![Just("all".to_owned()), Just("size".to_owned()), any_text()], any_text()), 0..3),
        headers in prop::collection::vec((prop_oneof![Just("x-kind".to_owned()), any_text()], any_text()), 0..3),
        body in prop::option::of(any_text()),
        mode in prop_oneof![Just(Mode::Get), Just(Mode::Send), Just(Mode::Open)],
        creates in any::<bool>(),
    ) {
        let policy = policy();
        let ask = if creates { Ask::creating(&policy) } else { Ask::under(&policy, None) };
        let request = Request { method, path, query, headers, body, attributes: BTreeMap::new() };
        if let Ok(allowed) = ask.decide(mode, &request) {
            let target = allowed.outgoing.target();
            prop_assert!(target.bytes().all(|c| c.is_ascii_graphic()));
            prop_assert!(!target.contains("//") && !target.contains("/../"));
            let texts = allowed.outgoing.headers.iter().flat_map(|(name, value)| [name, value]);
            prop_assert!(texts.into_iter().all(|text| text.bytes().all(|c| (0x20..0x7f).contains(&c))));
            // What is forced is there, whatever was asked.
            if allowed.rule() == "make" {
                let body = allowed.outgoing.body.clone().unwrap();
                prop_assert_eq!(&body["Host"]["Private"], &json!(false));
                prop_assert_eq!(&body["Labels"]["nonce"], &json!("n0"));
            }
        }
    }
}
