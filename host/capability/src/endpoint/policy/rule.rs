//! One rule, from its table.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::about::{About, Extra};
use super::check::{BYTES, DEPTH, Shared, TIMEOUT_MS, in_bounds, pointers, size};
use super::file::{ActionWord, BodyWord, EffectWord, ResponseTable, RuleTable};
use super::path::PathTemplate;
use super::{
    Action, Bounds, Demand, Effect, JobRule, Learn, ResponseBody, ResponseRule, Rows, Rule,
    TextRule,
};
use crate::endpoint::pointer::Pointer;

/// Headers that are the host's own.
const HOSTS_OWN: [&str; 11] = [
    "host",
    "connection",
    "upgrade",
    "transfer-encoding",
    "content-length",
    "content-type",
    "expect",
    "te",
    "trailer",
    "keep-alive",
    "proxy-connection",
];

/// Reads a rule.
///
/// # Errors
/// What is wrong with it.
pub(super) fn rule(table: RuleTable, shared: &Shared) -> Result<Rule, String> {
    let name = table.name.get_ref();
    if name.is_empty()
        || !name
            .bytes()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
    {
        return Err("a name has lower case letters, digits and `-`".to_owned());
    }
    let is_method = (1..=16).contains(&table.method.len())
        && table.method.bytes().all(|c| c.is_ascii_uppercase())
        && table.method != "CONNECT";
    if !is_method {
        return Err("`method` must be in capitals: GET, POST, ...".to_owned());
    }
    let effect = match table.effect {
        EffectWord::Read => Effect::Read,
        EffectWord::Write => Effect::Write,
    };
    let about = About {
        effect,
        verbs: table.verbs.as_deref(),
        path: PathTemplate::parse(&table.path)?,
        query: table.query.keys().cloned().collect(),
        shared,
    };
    if effect == Effect::Read {
        let only_writes = [
            ("verbs", table.verbs.is_some()),
            ("once", table.once),
            ("learn", table.learn.is_some()),
            ("adopt", table.adopt.is_some()),
            ("releases", table.releases.is_some()),
            ("job", table.job.is_some()),
            ("action", table.action != ActionWord::Send),
        ];
        if let Some((key, _)) = only_writes.iter().find(|(_, is_there)| *is_there) {
            return Err(format!("`{key}` needs effect = \"write\""));
        }
    }
    let parameters = about.parameters(&table.parameters)?;
    let is_owned = |wanted: &str| {
        let mut demands = parameters.values().map(|text| &text.demand);
        demands.any(|demand| matches!(demand, Demand::Owned(sort) if sort == wanted))
    };
    let action = action(&table, &about, &parameters)?;
    if table.once && table.learn.is_none() {
        return Err(
            "`once` needs `learn`: the answer is kept until what was made is released".to_owned(),
        );
    }
    if table.once && (!matches!(action, Action::Send) || table.response.is_none()) {
        return Err(
            "`once` is for requests with a `response` that is no stream and no job".to_owned(),
        );
    }
    let response = response(table.response.as_ref(), &action, &about)?;
    let learn = table
        .learn
        .as_ref()
        .map(|learn| {
            about.one(&learn.id).and_then(|id| {
                let sort = shared.sort(&learn.sort)?;
                about.parent_is_named(sort, &parameters)?;
                Ok(Learn {
                    sort: learn.sort.clone(),
                    id,
                })
            })
        })
        .transpose()?;
    let adopt = table
        .adopt
        .as_ref()
        .map(|adopt| about.adopt(adopt, &parameters))
        .transpose()?;
    let is_kept = table.stream.as_ref().is_some_and(|stream| stream.keep);
    if is_kept && !shared.sorts.keys().any(|sort| is_owned(sort)) {
        return Err("`stream.keep` needs a parameter of the path with `owned`".to_owned());
    }
    if (learn.is_some() || adopt.is_some()) && !matches!(action, Action::Send) {
        return Err(
            "`learn` and `adopt` are for requests that are no stream and no job".to_owned(),
        );
    }
    if let Some(sort) = &table.releases {
        shared.sort(sort)?;
        if !is_owned(sort) {
            return Err(format!(
                "`releases` needs a parameter of the path with owned = \"{sort}\""
            ));
        }
    }
    if table.action == ActionWord::Forget && table.releases.is_none() {
        return Err("action = \"forget\" needs `releases`".to_owned());
    }
    let mut headers = BTreeMap::new();
    for (header, text) in &table.headers {
        let lower = header.to_ascii_lowercase();
        let is_token = !lower.is_empty()
            && lower
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || c == b'-');
        if !is_token || HOSTS_OWN.contains(&lower.as_str()) {
            return Err(format!("the header `{header}` is the host's own, or none"));
        }
        let text = about.text(&format!("headers.{header}"), text)?;
        if headers.insert(lower, text).is_some() {
            return Err(format!(
                "the header `{header}` is there twice, in other letters"
            ));
        }
    }
    let query = table.query.iter();
    let query = query
        .map(|(key, text)| Ok((key.clone(), about.text(&format!("query.{key}"), text)?)))
        .collect::<Result<_, String>>()?;
    let own = |name: &str, value: Option<u64>, bounds: &RangeInclusive<u64>, otherwise: u64| {
        value.map_or(Ok(otherwise), |value| in_bounds(name, value, bounds))
    };
    let of_all = shared.bounds;
    let bounds = Bounds {
        timeout_ms: own(
            "timeout_ms",
            table.timeout_ms,
            &TIMEOUT_MS,
            of_all.timeout_ms,
        )?,
        request_bytes: size(own(
            "request_bytes",
            table.request_bytes,
            &BYTES,
            of_all.request_bytes as u64,
        )?),
        response_bytes: size(own(
            "response_bytes",
            table.response_bytes,
            &BYTES,
            of_all.response_bytes as u64,
        )?),
        depth: size(own("depth", table.depth, &DEPTH, of_all.depth as u64)?),
    };
    Ok(Rule {
        parameters,
        body: table
            .body
            .as_ref()
            .map(|body| about.body(body))
            .transpose()?,
        name: table.name.into_inner(),
        method: table.method,
        path: about.path,
        effect,
        verbs: table.verbs.clone(),
        once: table.once,
        query,
        headers,
        response,
        learn,
        adopt,
        releases: table.releases,
        action,
        bounds,
    })
}

fn action(
    table: &RuleTable,
    about: &About<'_>,
    parameters: &BTreeMap<String, TextRule>,
) -> Result<Action, String> {
    let words = [
        table.stream.is_some(),
        table.job.is_some(),
        table.signal.is_some() || table.action == ActionWord::Signal,
        table.action == ActionWord::Forget,
    ];
    if words.into_iter().filter(|is_there| *is_there).count() > 1 {
        return Err("a rule is for one of: stream, job, signal, forget".to_owned());
    }
    match (table.action, &table.stream, &table.job, &table.signal) {
        (ActionWord::Signal, _, _, Some(signal)) => {
            about.signal(signal, parameters).map(Action::Signal)
        }
        (ActionWord::Signal, ..) | (_, _, _, Some(_)) => {
            Err("action = \"signal\" and [rules.signal] need each other".to_owned())
        }
        (ActionWord::Forget, ..) => Ok(Action::Forget),
        (_, Some(stream), ..) => about.stream(stream).map(Action::Stream),
        (_, _, Some(job), _) => {
            let lines = job.lines.unwrap_or(64);
            let line_bytes = job.line_bytes.unwrap_or(64 << 10);
            if !(1..=4_096).contains(&lines) || !(1..=1 << 20).contains(&line_bytes) {
                return Err(
                    "`job.lines` goes from 1 to 4096, `job.line_bytes` from 1 to 1048576"
                        .to_owned(),
                );
            }
            Ok(Action::Job(JobRule {
                lines,
                by: job.by.as_deref().map(Pointer::parse).transpose()?,
                line_bytes,
                longest_ms: job.longest_ms.unwrap_or(3_600_000),
                failed: job.failed.as_deref().map(Pointer::parse).transpose()?,
            }))
        }
        _ => Ok(Action::Send),
    }
}

fn response(
    table: Option<&ResponseTable>,
    action: &Action,
    about: &About<'_>,
) -> Result<ResponseRule, String> {
    let none = ResponseTable {
        body: Some(BodyWord::None),
        ..ResponseTable::default()
    };
    let table = table.unwrap_or(&none);
    let body = match table.body {
        Some(BodyWord::None) => ResponseBody::None,
        Some(BodyWord::Text) => ResponseBody::Text,
        Some(BodyWord::Json) | None => ResponseBody::Json,
    };
    match (&table.keep, body) {
        (None, ResponseBody::Json) => {
            return Err("`response` needs `keep`, or body = \"none\" or \"text\"".to_owned());
        }
        (Some(_), ResponseBody::None | ResponseBody::Text) => {
            return Err("`response.keep` is for body = \"json\"".to_owned());
        }
        _ => {}
    }
    if body != ResponseBody::Json && (table.rows.is_some() || !table.drop.is_empty()) {
        return Err("`response.rows` and `response.drop` are for body = \"json\"".to_owned());
    }
    if let Action::Job(_) = action
        && body != ResponseBody::Json
    {
        return Err("a `job` needs `response` with `keep`".to_owned());
    }
    let is_status = |status: &u16| (200..=399).contains(status);
    if table
        .status
        .as_ref()
        .is_some_and(|list| list.is_empty() || !list.iter().all(is_status))
    {
        return Err("`response.status` is a list of 200 to 399".to_owned());
    }
    let rows = table.rows.as_ref().map(|rows| {
        about.shared.sort(&rows.owned)?;
        Ok::<_, String>(Rows {
            at: about.one(&rows.at)?,
            id: about.one(&rows.id)?,
            owned: rows.owned.clone(),
            or_when: about.equals(&rows.or_when, Extra::None)?,
        })
    });
    Ok(ResponseRule {
        status: table.status.clone(),
        body,
        keep: pointers(table.keep.as_deref().unwrap_or_default())?,
        drop: pointers(&table.drop)?,
        rows: rows.transpose()?,
        errors: match &table.errors {
            Some(errors) => pointers(errors)?,
            None => about.shared.errors.clone(),
        },
        headers: table
            .headers
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .collect(),
    })
}
