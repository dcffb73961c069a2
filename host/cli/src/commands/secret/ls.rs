//! `secret ls`.

use fleet_client::{Page, Secret};
use fleet_seam::{Clock as _, SystemClock};

use crate::app::Context;
use crate::commands::table::table;
use crate::failure::Failure;
use crate::time::age;

/// Lists all of them.
pub(crate) async fn run(context: &mut Context) -> Result<(), Failure> {
    let page = Page::complete(context.client()?.secrets().await?);
    context
        .output
        .answer(&page, || people(&page.items, SystemClock.unix_ms()))
}

fn people(secrets: &[Secret], now_ms: u64) -> String {
    table(
        ["NAME", "SET", "USED BY"],
        secrets.iter().map(|secret| {
            let used_by = secret.used_by.as_deref().unwrap_or_default();
            [
                secret.name.to_string(),
                format!("{} ago", age(secret.changed_at_ms, now_ms)),
                used_by.join(", "),
            ]
        }),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_table_shows_names_and_users() {
        let secrets: Vec<Secret> = serde_json::from_value(json!([
            {"name": "api-token", "revision": 3, "created_at_ms": 0, "changed_at_ms": 0, "used_by": ["web", "job"]},
            {"name": "old", "revision": 1, "created_at_ms": 0, "changed_at_ms": 30_000, "used_by": []},
        ]))
        .unwrap();
        assert_eq!(
            people(&secrets, 60_000),
            "NAME       SET      USED BY\n\
             api-token  60s ago  web, job\n\
             old        30s ago  -\n"
        );
    }
}
