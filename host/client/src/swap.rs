//! Other code for a plugin while it works.
//!
//! The node swaps for as long as it takes, whoever listens. Where the connection breaks the same is sent
//! again under the same key: the node knows it, and tells what becomes of it or became of it.

use std::convert::Infallible;

use bytes::Bytes;
use fleet_model::plugin::PluginState;
use fleet_model::swap::{Adoption, SwapReport, SwapRun, SwapWay};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Body, RequestBuilder};
use serde::Deserialize;

use crate::backoff::Outage;
use crate::client::Client;
use crate::error::ClientError;
use crate::key::IdempotencyKey;
use crate::ndjson::Objects;
use crate::plugins::{on, plugin_path};
use crate::request::Ask;

/// What is to take a plugin's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVersion {
    /// The component's bytes.
    pub component: Bytes,
    /// Its manifest, as TOML; absent: the active one stays.
    pub manifest: Option<String>,
}

/// How it is to take it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SwapWish {
    /// Whether it is put into use.
    pub run: SwapRun,
    /// Whether there must be a way back.
    pub way: SwapWay,
    /// What becomes of it where it does not know what runs.
    pub adoption: Adoption,
    /// The name of the node, where several have the plugin.
    pub node: Option<String>,
}

/// What happens on the way.
#[derive(Debug, Clone, PartialEq)]
pub enum SwapStep {
    /// The newcomer has reached this state.
    Stage(PluginState),
    /// It has ended. Nothing comes after this.
    Report(Box<SwapReport>),
}

/// A swap or a rollback that is waited for. Dropping this ends the wait, not the swap.
#[derive(Debug)]
pub struct SwapFollow {
    client: Client,
    ask: Ask,
    key: IdempotencyKey,
    version: Option<NewVersion>,
    told: Option<PluginState>,
    open: Option<Objects>,
    outage: Outage,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Stage(PluginState),
    Report(Box<SwapReport>),
}

impl Client {
    /// Puts a version in the place of an active plugin. Nothing is sent before the first
    /// [`SwapFollow::next`].
    #[must_use]
    pub fn swap(&self, name: &str, version: NewVersion, wish: &SwapWish) -> SwapFollow {
        let mut pairs = on(wish.node.as_deref());
        for (flag, is_set) in [
            ("dry_run", wish.run == SwapRun::Dry),
            ("one_way", wish.way == SwapWay::OneWay),
            ("lenient", wish.adoption == Adoption::Lenient),
        ] {
            pairs.extend(is_set.then(|| (flag, "true".to_owned())));
        }
        let ask = Ask::act(plugin_path(name, "/swap")).with(pairs);
        SwapFollow::new(self, ask, Some(version))
    }

    /// Puts the last proven version of a plugin back, on this node where several have it. Nothing is sent
    /// before the first [`SwapFollow::next`].
    #[must_use]
    pub fn rollback(&self, name: &str, node: Option<&str>) -> SwapFollow {
        let ask = Ask::act(plugin_path(name, "/rollback")).with(on(node));
        SwapFollow::new(self, ask, None)
    }
}

impl SwapFollow {
    fn new(client: &Client, ask: Ask, version: Option<NewVersion>) -> Self {
        Self {
            key: client.new_key(),
            client: client.clone(),
            ask,
            version,
            told: None,
            open: None,
            outage: Outage::new(),
        }
    }

    /// What happens next. May be dropped and called again: nothing is lost.
    ///
    /// # Errors
    /// As every call; `already-active`, `swap-under-way`, `quarantined`, `no-plugin`, `too-large`: then nothing
    /// was begun. A newcomer that is rejected is no error but a report.
    pub async fn next(&mut self) -> Result<SwapStep, ClientError> {
        loop {
            let failure = match self.step().await {
                Ok(Some(SwapStep::Stage(state))) if self.told == Some(state) => continue,
                Ok(Some(step)) => {
                    self.outage.received();
                    if let SwapStep::Stage(state) = &step {
                        self.told = Some(*state);
                    }
                    return Ok(step);
                }
                Ok(None) => self
                    .client
                    .foreign(self.ask.path(), "an end without a report".to_owned()),
                Err(failure) => failure,
            };
            self.open = None;
            if matches!(failure, ClientError::Broken { .. }) {
                self.outage.connected(&self.client);
            }
            if !failure.may_pass() || !self.outage.lost(&self.client).await {
                return Err(failure);
            }
        }
    }

    /// How it ended.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn report(mut self) -> Result<SwapReport, ClientError> {
        loop {
            if let SwapStep::Report(report) = self.next().await? {
                return Ok(*report);
            }
        }
    }

    async fn step(&mut self) -> Result<Option<SwapStep>, ClientError> {
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let request = self
                    .client
                    .request(&self.ask)
                    .header("idempotency-key", self.key.as_str());
                let request = match &self.version {
                    Some(version) => with_version(request, version, &self.client),
                    None => request,
                };
                let open = Objects::opened(&self.client, request, self.ask.path()).await?;
                self.outage.connected(&self.client);
                self.open.insert(open)
            }
        };
        let line = open.next(&self.client, self.ask.path()).await?;
        Ok(line.map(|line| match line {
            Line::Stage(state) => SwapStep::Stage(state),
            Line::Report(report) => SwapStep::Report(report),
        }))
    }
}

/// The component as it is, or a form (RFC 7578) that brings its manifest too.
fn with_version(request: RequestBuilder, version: &NewVersion, client: &Client) -> RequestBuilder {
    let NewVersion {
        component,
        manifest,
    } = version;
    let Some(manifest) = manifest else {
        return request
            .header(CONTENT_TYPE, "application/wasm")
            .body(component.clone());
    };
    // Random, so that it stands in none of the files.
    let boundary = client.new_key();
    let field = |name: &str, kind: &str| {
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\nContent-Type: {kind}\r\n\r\n"
        )
    };
    let pieces = [
        Bytes::from(format!(
            "{}{manifest}\r\n",
            field("manifest", "application/toml")
        )),
        Bytes::from(field("component", "application/wasm")),
        component.clone(),
        Bytes::from(format!("\r\n--{boundary}--\r\n")),
    ];
    let pieces = pieces.map(Ok::<_, Infallible>);
    request
        .header(
            CONTENT_TYPE,
            format!("multipart/form-data; boundary={boundary}"),
        )
        .body(Body::wrap_stream(futures::stream::iter(pieces)))
}
