//! Query parameters: each known or refused, each read or refused.

use std::collections::VecDeque;
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use fleet_model::Error;

use super::problem::Problem;
use super::shorten;

/// The parameters of a request, to be taken out one by one.
#[derive(Debug)]
pub(super) struct Params {
    pairs: VecDeque<(String, String)>,
    known: Vec<&'static str>,
}

impl Params {
    /// The values of a parameter that may be given several times.
    pub(super) fn all(&mut self, name: &'static str) -> Vec<String> {
        self.known.push(name);
        let (taken, rest) = self
            .pairs
            .drain(..)
            .partition::<Vec<_>, _>(|(key, _)| key == name);
        self.pairs = rest.into();
        taken.into_iter().map(|(_, value)| value).collect()
    }

    /// A parameter as text.
    ///
    /// # Errors
    /// `invalid` where it is given twice.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, Error> {
        let mut values = self.all(name).into_iter();
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Error::invalid(
                "invalid-parameter",
                format!("`{name}` is given twice: give it once"),
            )),
            (value, None) => Ok(value),
        }
    }

    /// A parameter as something else.
    ///
    /// # Errors
    /// `invalid` where it cannot be read; `expected` says what would be.
    pub(super) fn read<T>(&mut self, name: &'static str, expected: &str) -> Result<Option<T>, Error>
    where
        T: FromStr,
    {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| {
            Error::invalid(
                "invalid-parameter",
                format!(
                    "`{name}={}` cannot be read: expected {expected}",
                    shorten(&text)
                ),
            )
            .with("parameter", name)
        })
    }

    /// A yes or no; `name` alone is a yes.
    ///
    /// # Errors
    /// `invalid` for anything else.
    pub(super) fn flag(&mut self, name: &'static str) -> Result<Flag, Error> {
        match self.text(name)?.as_deref() {
            None | Some("false") => Ok(Flag::Unset),
            Some("" | "true") => Ok(Flag::Set),
            Some(other) => {
                let message = format!(
                    "`{name}={}` cannot be read: expected true or false",
                    shorten(other)
                );
                Err(Error::invalid("invalid-parameter", message).with("parameter", name))
            }
        }
    }

    /// Refuses what nobody asked for.
    ///
    /// # Errors
    /// `invalid` naming what is known here.
    pub(super) fn finish(self) -> Result<(), Error> {
        match self.pairs.front() {
            None => Ok(()),
            Some((name, _)) => Err(unknown(name, &self.known)),
        }
    }
}

/// A yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    /// Yes.
    Set,
    /// No.
    Unset,
}

fn unknown(name: impl Display, known: &[&str]) -> Error {
    let known = if known.is_empty() {
        "none is".to_owned()
    } else {
        known.join(", ")
    };
    Error::invalid(
        "unknown-parameter",
        format!(
            "parameter `{}` is not known here; known: {known}",
            shorten(&name.to_string())
        ),
    )
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<Vec<(String, String)>>::from_request_parts(parts, state).await {
            Ok(Query(pairs)) => Ok(Self {
                pairs: pairs.into(),
                known: Vec::new(),
            }),
            Err(error) => Err(Error::invalid(
                "invalid-query",
                format!("the query cannot be read: {}", error.body_text()),
            )
            .into()),
        }
    }
}
